# SPDX-License-Identifier: MIT
#
# A file of more than 1 GiB is refused as too large, not as a failure of memory
# or disk, and the old value stays.

. "$(dirname "$0")/support.sh"
truncate -s 1073741825 huge || skip 'no file of 1 GiB can be made'

expect_status 3 kvstore set --stdin key <huge
expect_stdout
expect_stderr \
    'kvstore: the value has more bytes than the limit of 1073741824'
expect_nothing_at data

kvstore set key old
expect_status 3 kvstore set --stdin key <huge
expect_value key old
