# SPDX-License-Identifier: MIT
#
# Once the first operand is seen, nothing is an option. Where a key is missing
# that is spelled like one, the message says where options go.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore set temp -5
expect_value temp -5
expect_status 0 kvstore set temp --help
expect_value temp --help
expect_status 0 kvstore set temp --
expect_value temp --
expect_status 0 kvstore set - -
expect_value - -

expect_status 1 kvstore get temp --raw
expect_stderr 'kvstore: key not found: --raw (options go in front of KEY)'
expect_status 1 kvstore rm temp -f --quiet -5
expect_stderr 'kvstore: key not found: -f (options go in front of KEY)' \
    'kvstore: key not found: --quiet (options go in front of KEY)' \
    'kvstore: key not found: -5'
expect_absent temp

# The same against the environment: it cannot make getopt reorder anything.
expect_status 0 env POSIXLY_CORRECT=1 "$KVSTORE" set temp -6
expect_value temp -6
