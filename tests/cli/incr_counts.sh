# SPDX-License-Identifier: MIT
#
# incr adds to a whole number and prints the sum; those that count at the same
# time lose no count.

. "$(dirname "$0")/support.sh"
need jq

expect_status 0 kvstore incr hits
expect_stdout 1
expect_stderr
expect_status 0 kvstore incr hits 41
expect_stdout 42
expect_status 0 kvstore incr hits -50
expect_stdout -8
expect_status 0 kvstore incr hits +8
expect_stdout 0
printf ' 7\n' | kvstore set --stdin hits
expect_status 0 kvstore incr hits
expect_stdout 8
expect_value hits 8

# What is no number stays as it is.
kvstore set word seven
expect_status 4 kvstore incr word
expect_stdout
expect_stderr "kvstore: cannot add to 'word' in './data': its value is no \
whole number, or the sum is beyond 64 bits"
expect_value word seven
kvstore set most 9223372036854775807
expect_status 4 kvstore incr most
expect_status 0 kvstore incr most -1
expect_stdout 9223372036854775806
for amount in '' x 1.5 1e3 0x1 ' 1' 9223372036854775808 -- +; do
    expect_status 2 kvstore incr hits "$amount"
    expect_stderr_match "incr: '$amount' is no whole number of 64 bits"
done
expect_value hits 8

# An expiry is for a key that this makes, so that a rate has a beginning.
kvstore incr --expires @4102444800 rate >/dev/null
kvstore incr --expires 1s rate >/dev/null
expect_status 0 kvstore get --json rate
expect_stdout '{"key":"rate","value":"2","expires":4102444800000}'
kvstore incr --expires 20ms brief 9 >/dev/null
sleep 0.1
expect_status 0 kvstore incr brief
expect_stdout 1

for i in 1 2 3 4 5 6 7 8; do
    (for j in 1 2 3 4 5; do kvstore incr together >/dev/null; done) &
done
wait
expect_value together 40
