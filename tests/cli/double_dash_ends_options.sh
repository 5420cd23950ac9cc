# SPDX-License-Identifier: MIT
#
# "--" makes operands of what follows, even before the command.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore set -- --key --value
expect_status 0 kvstore get -- --key
expect_stdout --value
expect_status 0 kvstore -- get -- --key
expect_stdout --value
expect_status 0 kvstore -q -- get -q -r -- --key
expect_status 0 kvstore rm -- --key
expect_status 1 kvstore get -- --key
expect_stderr 'kvstore: key not found: --key'
