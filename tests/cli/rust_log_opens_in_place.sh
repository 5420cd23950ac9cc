# SPDX-License-Identifier: MIT
#
# A log of the Rust KvStore is a store, and stays one that program can read.

. "$(dirname "$0")/support.sh"
mkdir data
cat >data/store.log <<'LOG'
{"Set":{"key":"user","val":"Alice"}}
{"Set":{"key":"quote","val":"a\"b\\c\nd"}}
{"Set":{"key":"user","val":"Bob"}}
{"Set":{"key":"gone","val":"x"}}
{"Remove":{"key":"gone"}}
LOG
cp data/store.log before

expect_value user Bob
expect_value quote "$(printf 'a"b\\c\nd')"
expect_absent gone
cmp before data/store.log || fail 'reading has changed the log'

expect_status 0 kvstore set user Carol
expect_stderr
expect_status 0 kvstore rm quote
expect_value user Carol
expect_absent quote
head -n 5 data/store.log | cmp - before || fail 'its lines have changed'
sed -n 6p data/store.log | grep -q '^{"Set":{"key":"user","val":"Carol"' ||
    fail 'the new line has another form'
sed -n 7p data/store.log | grep -q '^{"Remove":{"key":"quote"' ||
    fail 'the remove has another form'
