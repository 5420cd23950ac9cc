# SPDX-License-Identifier: MIT
#
# A command that waits for the lock is ended by a signal sent to it, and leaves
# nothing locked or half done.

. "$(dirname "$0")/support.sh"
need flock
kvstore set key old
exec 9<data
flock 9

"$KVSTORE" --timeout 50 set key new 9<&- 2>stderr &
process=$!
tries=100 # Until it is no longer a shell; then it reaches the lock.
until [ "$(cat "/proc/$process/comm" 2>/dev/null)" = kvstore ] ||
    [ "$tries" -eq 0 ]; do
    tries=$((tries - 1))
    sleep 0.02
done
sleep 0.2
kill -TERM "$process"
got=0
wait "$process" || got=$?

[ "$got" -eq 143 ] || fail "status $got, not 143"
[ ! -s stderr ] || fail "it said: $(cat stderr)"
exec 9<&-
expect_value key old
expect_status 0 kvstore --timeout 0 set key newer
expect_value key newer
