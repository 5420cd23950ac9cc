# SPDX-License-Identifier: MIT
#
# Without a command: a short usage with three examples, and nothing is done.

. "$(dirname "$0")/support.sh"

expect_status 2 kvstore
expect_stdout
cp "$scratch/capture/stderr" usage
grep -q '^kvstore: no command$' usage || fail 'it does not say what is missing'
[ "$(grep -c '^  kvstore ' usage)" -eq 3 ] || fail 'there are not 3 examples'

expect_status 2 kvstore --quiet
expect_stdout
expect_status 2 kvstore --
expect_stdout
expect_nothing_at data
