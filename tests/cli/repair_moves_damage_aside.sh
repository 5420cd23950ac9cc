# SPDX-License-Identifier: MIT
#
# repair moves damaged bytes to store.log.cut-OFFSET, byte for byte, keeps all
# other lines, stale ones too, and says what it did.

. "$(dirname "$0")/support.sh"
kvstore set a old
kvstore set gone 1
kvstore set a older
kvstore set a new
kvstore set gone 2
kvstore set b 1
offset=$(head -n 3 data/store.log | wc -c)
sed '4s/new/NEW/; 5s/^/x/' data/store.log >changed
{
    cat changed
    head -c 300 /dev/zero
    echo '{"Set":{"key":"c","val":"1"}}'
} >data/store.log
sed -n 4,5p changed >first-cut
head -c 300 /dev/zero >second-cut
{
    sed -n 1,3p changed
    sed -n 6p changed
    echo '{"Set":{"key":"c","val":"1"}}'
} >expected
last=$(wc -c <changed)
expect_status 6 kvstore -q get a

expect_status 0 kvstore repair
expect_stdout \
    "store.log: $(wc -c <first-cut) bytes at offset $offset: moved to store.log.cut-$offset" \
    "store.log: 300 bytes at offset $last: moved to store.log.cut-$last"
expect_stderr "kvstore: 2 damaged places, $(($(wc -c <first-cut) + 300)) bytes, \
moved out of './data/store.log': a key may be older than its last write"
cmp -s expected data/store.log || fail 'the log is not what was sound'
cmp -s first-cut "data/store.log.cut-$offset" || fail 'bytes are missing'
cmp -s second-cut "data/store.log.cut-$last" || fail 'bytes are missing'
expect_value a older
expect_value c 1
expect_status 0 kvstore verify
expect_status 0 kvstore stats
expect_stdout_match '^damaged_bytes 0$'
expect_stderr
