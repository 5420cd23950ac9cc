# SPDX-License-Identifier: MIT
#
# A pipe that does not end is read no further than the limit.

. "$(dirname "$0")/support.sh"
free_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
[ "${free_kb:-0}" -gt 3000000 ] || skip 'too little memory'

cat /dev/zero 2>/dev/null | {
    expect_status 3 kvstore set --stdin key
    expect_stdout
    expect_stderr \
        'kvstore: the value has more bytes than the limit of 1073741824'
}
expect_nothing_at data
