# SPDX-License-Identifier: MIT
#
# A missing VALUE is not read from standard input, so that an empty variable in a
# loop cannot eat what the loop reads. The message says what to do.

. "$(dirname "$0")/support.sh"

expect_status 2 shell 'echo input | "$KVSTORE" set key'
expect_stdout
expect_stderr "kvstore: set: no VALUE for 'key': give one ('' is an empty one), \
or read it with --stdin or --file FILE in front of KEY" \
    "kvstore: try 'kvstore set --help'"
expect_nothing_at data

# Without quotes, as scripts have it: the loop goes on.
empty=
printf 'a\nb\nc\n' | while read -r line; do
    # shellcheck disable=SC2086
    kvstore set "$line" $empty 2>/dev/null || echo "$line"
done >refused
printf 'a\nb\nc\n' | cmp - refused || fail 'the loop has lost its input'

expect_status 2 kvstore set
expect_stderr_match 'set: too few operands: it takes KEY VALUE'
expect_nothing_at data
