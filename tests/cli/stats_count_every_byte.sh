# SPDX-License-Identifier: MIT
#
# stats prints a name and a number a line; the kinds of bytes add up. The last
# line says why a compaction is or is not due.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set b 1
kvstore set a 22
kvstore rm b
echo '   ' >>data/store.log
kvstore set c 3
log_bytes=$(wc -c <data/store.log)

# counter NAME: its value in what was printed last.
counter() {
    sed -n "s/^$1 \\([0-9][0-9]*\\)\$/\\1/p" "$scratch/capture/stdout"
}

expect_status 0 kvstore stats
expect_stderr
[ "$(counter keys)" -eq 2 ] || fail 'there are two keys'
[ "$(counter log_bytes)" -eq "$log_bytes" ] || fail 'wrong size of the log'
[ "$(counter blank_bytes)" -eq 4 ] || fail 'wrong blank bytes'
sum=$(($(counter live_bytes) + $(counter stale_bytes) + \
    $(counter blank_bytes) + $(counter damaged_bytes)))
[ "$sum" -eq "$log_bytes" ] || fail 'the bytes do not add up'
[ "$(counter index_bytes)" -eq "$(wc -c <data/store.index)" ] ||
    fail 'wrong size of the index'
expect_stdout_match '^compaction not due: [0-9]* stale bytes, fewer than 1048576$'
expect_stdout_match '^damaged_offset none$'

# Below half of the log.
head -c 3000000 /dev/zero | tr '\0' v | kvstore set --stdin long
head -c 1100000 /dev/zero | tr '\0' v | kvstore set --stdin a
kvstore set a short
expect_status 0 kvstore stats
expect_stdout_match '^compaction not due: [0-9]* stale bytes are 26.8 % of the log, less than 50$'
kvstore compact
expect_status 0 kvstore stats
[ "$(counter compactions)" -eq 1 ] || fail 'the compaction was not counted'
[ "$(counter stale_bytes)" -eq 0 ] || fail 'something is stale'

# Made by a program that does not compact.
mkdir due
{
    yes '{"Set":{"key":"user","val":"Alice in Wonderland"}}' | head -n 30000
    echo what is this
    echo '{"Remove":{"key":"gone"}}'
} >due/store.log
expect_status 0 kvstore -q -d due stats
[ "$(counter damaged_bytes)" -eq 13 ] || fail 'wrong damaged bytes'
[ "$(counter damaged_records)" -eq 1 ] || fail 'wrong damaged lines'
[ "$(counter damaged_offset)" -eq 1530000 ] || fail 'wrong offset'
expect_stdout_match '^compaction due: 1529949 stale bytes are 100.0 % of the log, at least 50, removes that damage keeps not counted$'

# Keys that may expire make one due, too. An import with a bad record does not
# compact.
value=$(head -c 100000 /dev/zero | tr '\0' v)
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    echo "{\"key\":\"k$i\",\"value\":\"$value\",\"expires\":1e13}"
done >records
echo no record >>records
expect_status 7 kvstore -q -d expiring import records
expect_status 0 kvstore -d expiring stats
expect_stdout_match '^compaction_due true$'
expect_stdout_match '^compaction due: half of the log is stale or may expire, and it has doubled; 0 stale bytes, fewer than 1048576$'
kvstore -d expiring set one more
expect_status 0 kvstore -d expiring stats
[ "$(counter compactions)" -eq 1 ] || fail 'it was not compacted'
expect_stdout_match '^compaction_due false$'
