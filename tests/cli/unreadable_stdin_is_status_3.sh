# SPDX-License-Identifier: MIT
#
# Standard input that fails is not a value, and the old one stays.

. "$(dirname "$0")/support.sh"
kvstore set key old

expect_status 3 kvstore set --stdin key </
expect_stderr_match '^kvstore: cannot read standard input: '
expect_value key old
