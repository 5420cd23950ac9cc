# SPDX-License-Identifier: MIT
#
# Once the first operand is seen, nothing is an option.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore set temp -5
expect_value temp -5
expect_status 0 kvstore set temp --help
expect_value temp --help
expect_status 0 kvstore set temp --
expect_value temp --
expect_status 0 kvstore set - -
expect_value - -

expect_status 2 kvstore get temp --raw
expect_stderr_match 'get: too many operands'
expect_status 1 kvstore rm temp -f --quiet
expect_stderr 'kvstore: key not found: -f' 'kvstore: key not found: --quiet'
expect_absent temp

# The same against the environment: it cannot make getopt reorder anything.
expect_status 0 env POSIXLY_CORRECT=1 "$KVSTORE" set temp -6
expect_value temp -6
