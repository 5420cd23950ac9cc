# SPDX-License-Identifier: MIT
#
# A compaction that is killed by a signal leaves the store as it was, and dies
# of that signal; the next one is not hindered.

. "$(dirname "$0")/support.sh"
mkdir data
yes '{ "Set": { "key": "user", "value": "Alice in Wonderland" } }' |
    head -n 1600000 >data/store.log
echo '{"Set":{"key":"other","val":"here"}}' >>data/store.log
kvstore get user >got
cp data/store.log copy
inode=$(ls -i data/store.log)

# A shell without job control makes its background jobs ignore SIGINT.
"$KVSTORE" --quiet compact &
pid=$!
while [ ! -e data/store.log.compact ] && kill -0 "$pid" 2>/dev/null; do
    :
done
kill -TERM "$pid" 2>/dev/null || skip 'it was over too soon'
status=0
wait "$pid" || status=$?
[ "$status" -ne 0 ] || skip 'it was over too soon'
[ "$(ls -i data/store.log)" = "$inode" ] || skip 'it was over too soon'
[ "$status" -eq 143 ] || fail "status $status, not 143"
cmp -s copy data/store.log || fail 'the log has changed'
expect_value other here
expect_status 0 kvstore --quiet compact
[ "$(wc -l <data/store.log)" -eq 2 ] || fail 'it did not compact'
expect_nothing_at data/store.log.compact
expect_value user 'Alice in Wonderland'
