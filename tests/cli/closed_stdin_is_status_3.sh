# SPDX-License-Identifier: MIT
#
# Closed standard input is not an empty value.

. "$(dirname "$0")/support.sh"

expect_status 3 shell '"$KVSTORE" set --stdin key <&-'
expect_stdout
expect_stderr_match '^kvstore: cannot read standard input: '
expect_nothing_at data
expect_status 0 shell '"$KVSTORE" set key value <&-'
expect_status 0 shell '"$KVSTORE" get key <&-'
expect_stdout value
