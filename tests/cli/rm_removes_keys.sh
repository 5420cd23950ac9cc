# SPDX-License-Identifier: MIT
#
# rm removes what it names and nothing else; what was removed can be set again.

. "$(dirname "$0")/support.sh"
for key in one two three four; do
    kvstore set "$key" "value of $key"
done

expect_status 0 kvstore rm one three
expect_stdout
expect_stderr
expect_absent one
expect_absent three
expect_value two 'value of two'
expect_value four 'value of four'

expect_status 0 kvstore set one again
expect_value one again
