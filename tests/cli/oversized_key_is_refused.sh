# SPDX-License-Identifier: MIT
#
# A key has at most 65,535 bytes; a longer one is a usage error.

. "$(dirname "$0")/support.sh"
longest=$(head -c 65535 /dev/zero | tr '\0' k)

expect_status 0 kvstore set "$longest" value
expect_value "$longest" value
expect_status 1 kvstore get "${longest%?}"
expect_status 0 kvstore rm "$longest"

rm -r data
for command in set get rm; do
    expect_status 2 kvstore "$command" "${longest}k"
    expect_stdout
    expect_stderr \
        'kvstore: the key has 65536 bytes, more than the limit of 65535'
done
expect_nothing_at data
