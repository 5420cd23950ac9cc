# SPDX-License-Identifier: MIT
#
# verify is quiet on a sound store, and names place and key of each damaged line
# with status 6; it changes nothing.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set "$(printf 'b\nc')" 2
kvstore set c 3
expect_status 0 kvstore verify
expect_stdout
expect_stderr

first=$(head -n 1 data/store.log | wc -c)
second=$(head -n 2 data/store.log | wc -c)
size=$(wc -c <data/store.log)
sed '2s/"2"/"X"/; 3s/^.*$/what is this/' data/store.log >changed
echo '{"Set":{"key":"d","val":"4"}}' >>changed
cat changed >data/store.log
cp data/store.log copy

expect_status 6 kvstore verify
expect_stdout \
    "store.log: $((second - first)) bytes at offset $first: the sum does not fit, key b\\x0ac" \
    "store.log: 13 bytes at offset $second: no record"
expect_stderr "kvstore: './data' is damaged in 2 places"
expect_status 6 kvstore --quiet verify
expect_stderr "kvstore: './data' is damaged in 2 places"
cmp -s copy data/store.log || fail 'the log has changed'
[ "$size" -gt 0 ] || fail 'the log is empty'
expect_status 2 kvstore verify a
