# SPDX-License-Identifier: MIT
#
# A real redis-server takes what export and watch print as RESP, and its
# append-only file comes back. Skipped where there is none, but not where
# KVSTORE_NEEDS_REDIS says that there must be.

. "$(dirname "$0")/support.sh"
if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    [ -z "${KVSTORE_NEEDS_REDIS:-}" ] || fail 'there is no redis-server'
    skip 'there is no redis-server'
fi
mkdir redis
before_clean_up() {
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || :
    [ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null || :
}
redis() {
    redis-cli -s "$scratch/socket" "$@"
}
redis-server --port 0 --unixsocket "$scratch/socket" --dir "$PWD/redis" \
    --appendonly yes --aof-use-rdb-preamble no --save '' >redis.log 2>&1 &
server=$!
tries=0
until redis ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || skip 'redis-server does not start'
    sleep 0.1
done

kvstore set plain text
kvstore set --expires @4102444800 dated 1
printf 'a\0b\r\n\377' | kvstore set --stdin "$(printf 'odd\r\n\377')"
kvstore set empty ''
expect_status 0 shell '"$KVSTORE" export --format resp |
    redis-cli -s "$1" --pipe' - "$scratch/socket"
expect_stdout_match 'errors: 0, replies: 4'
[ "$(redis get plain)" = text ] || fail 'not there'
[ "$(redis pexpiretime dated)" = 4102444800000 ] || fail 'it expires otherwise'
[ "$(redis dbsize)" = 4 ] || fail 'not four keys'

# And back: what the server has written since, and the file of its own.
redis set new 1 ex 1000 >/dev/null
redis mset m1 1 m2 2 >/dev/null
redis del plain >/dev/null
redis pexpireat m1 4102444800000 >/dev/null
redis bgrewriteaof >/dev/null
redis set after 1 >/dev/null
tries=0
until [ "$(redis info persistence | tr -d '\r' |
    sed -n 's/^aof_rewrite_in_progress://p')" = 0 ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail 'the file is never written anew'
    sleep 0.1
done
redis set last 1 >/dev/null
sleep 1.2
cat redis/appendonlydir/*.base.aof redis/appendonlydir/*.incr.aof >journal
expect_status 0 kvstore -d back import --format resp journal
expect_stderr
[ "$(kvstore -d back list --count)" -eq "$(redis dbsize)" ] || fail 'not all'
expect_status 0 kvstore -d back get --json m1 dated
expect_stdout '{"key":"m1","value":"1","expires":4102444800000}' \
    '{"key":"dated","value":"1","expires":4102444800000}'

# Over to it while others write.
redis flushall >/dev/null
mkfifo stream
redis --pipe <stream >piped 2>&1 &
"$KVSTORE" watch --since start --format resp >stream &
watcher=$!
kvstore set while 1
kvstore rm plain
kvstore incr while >/dev/null
tries=0
until [ "$(redis get while)" = 2 ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail 'the news does not come'
    sleep 0.1
done
[ "$(redis exists plain)" = 0 ] || fail 'plain is still there'
[ "$(redis dbsize)" = "$(kvstore list --count)" ] || fail 'not the same keys'
