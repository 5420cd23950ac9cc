# SPDX-License-Identifier: MIT
#
# An option in the wrong place is named with its right place.

. "$(dirname "$0")/support.sh"
kvstore set key value

# The option of a command in front of the command.
expect_status 2 kvstore --raw get key
expect_stdout
expect_stderr "kvstore: option '--raw' goes after 'get', in front of KEY" \
    "kvstore: try 'kvstore get --help'"
expect_status 2 kvstore -q -f rm key
expect_stderr "kvstore: option '-f' goes after 'rm', in front of KEY" \
    "kvstore: try 'kvstore rm --help'"
expect_status 2 kvstore --json stats
expect_stderr "kvstore: option '--json' goes after 'stats'" \
    "kvstore: try 'kvstore stats --help'"
expect_status 2 kvstore --json list user:
expect_stderr_match "option '--json' goes after 'list', in front of PREFIX"

# An option after the operands is one operand too many.
expect_status 2 kvstore list user: --json
expect_stderr 'kvstore: list: too many operands: it takes [PREFIX]' \
    "kvstore: '--json' is an operand here: options go in front of PREFIX" \
    "kvstore: try 'kvstore list --help'"
expect_status 2 kvstore stats now --json
expect_stderr_match "'--json' is an operand here: options go in front of all"
expect_value key value

# In front of CMD it could be CMD.
for command in 'once key --release' 'once key -E' 'update key --raw' \
    'update key --no-such'; do
    expect_status 2 kvstore $command true
    expect_stderr_match "is no CMD: options go in front of KEY"
done
expect_value key value
expect_status 127 kvstore once other -- --release
expect_status 3 kvstore update key -- --raw
expect_value key value
