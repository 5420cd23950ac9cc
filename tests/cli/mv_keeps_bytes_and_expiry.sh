# SPDX-License-Identifier: MIT
#
# mv gives a value another key, with its bytes and its expiry, in one append.

. "$(dirname "$0")/support.sh"
printf 'a\0b\377' | kvstore set --expires @4102444800 --stdin old
kvstore set new gone
lines=$(wc -l <data/store.log)

expect_status 0 kvstore mv old new
expect_stdout
expect_stderr
expect_absent old
expect_status 0 kvstore get --json new
expect_stdout '{"key":"new","value64":"YQBi/w==","expires":4102444800000}'
tail -n "+$((lines + 1))" data/store.log >written
[ "$(wc -l <written)" -eq 2 ] || fail 'not two lines'
[ "$(grep -c '"batch":' written)" -eq 2 ] || fail 'they are no batch'

expect_status 1 kvstore mv lost new
expect_stderr 'kvstore: key not found: lost'
kvstore set other 1
expect_status 4 kvstore mv --if-absent other new
expect_stdout
expect_stderr
expect_value other 1
expect_status 0 kvstore mv --if-absent other free
expect_value free 1

# To itself, nothing changes.
cp data/store.log before
expect_status 0 kvstore mv free free
expect_status 4 kvstore mv --if-absent free free
expect_status 1 kvstore mv lost lost
cmp -s before data/store.log || fail 'something was written'
expect_status 3 kvstore -d nowhere mv a b
expect_no_store nowhere
