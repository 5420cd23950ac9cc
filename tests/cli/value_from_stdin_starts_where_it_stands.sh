# SPDX-License-Identifier: MIT
#
# What another command has already read of standard input is not in the value.

. "$(dirname "$0")/support.sh"
printf 'first\nsecond\nthird\n' >lines

{
    read -r first
    kvstore set --stdin rest
} <lines

expect_value rest "$(printf 'second\nthird\n')
"
[ "$first" = first ] || fail 'the shell did not read its line'
