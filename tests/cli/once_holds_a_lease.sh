# SPDX-License-Identifier: MIT
#
# While once runs a command, it holds the key by a lease, here of four seconds:
# renewed as long as it runs, over soon after it was killed, and never
# somebody else's. Signals are passed on.

. "$(dirname "$0")/support.sh"
: "${KVSTORE_HASTY:?the program with a short lease}"
hasty=$KVSTORE_HASTY
kvstore set other x

# Longer than the lease.
"$hasty" once job sleep 6 &
sleep 5
expect_status 4 kvstore once job true
wait $! || fail 'it failed'
expect_status 0 kvstore exists job

# Killed itself: the key is free when the lease is over.
"$hasty" once orphan sleep 20 </dev/null >/dev/null 2>&1 &
child=$!
until kvstore exists orphan; do
    sleep 0.05
done
kill -KILL $child
wait $child || :
expect_status 0 kvstore get --json orphan
expect_stdout_match '"expires":[0-9]*}'
tries=200
until kvstore once orphan true; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail 'the lease is never over'
    sleep 0.1
done

# Eight at once: one runs, the others say that they did not.
for i in 1 2 3 4 5 6 7 8; do
    (
        status=0
        "$hasty" once race sh -c 'echo ran >>ran; sleep 0.5' || status=$?
        echo $status >>statuses
    ) &
done
wait
[ "$(wc -l <ran)" -eq 1 ] || fail 'not one of them ran'
[ "$(grep -c '^4$' statuses)" -eq 7 ] || fail 'not seven were late'

# Signals reach the command, which may do what it likes with them.
for signal in TERM HUP USR1 USR2; do
    : >ready
    rm ready
    status=0
    "$hasty" once signals sh -c "trap 'exit 7' $signal; : >ready
        while :; do sleep 0.05; done" &
    child=$!
    until [ -e ready ]; do
        sleep 0.05
    done
    kill -$signal $child
    wait $child || status=$?
    [ $status -eq 7 ] || fail "$signal: status $status"
    expect_status 1 kvstore exists signals
done
"$hasty" once signals sleep 30 &
child=$!
until kvstore exists signals; do
    sleep 0.05
done
sleep 0.1
kill -TERM $child
status=0
wait $child || status=$?
[ $status -eq 143 ] || fail "status $status, not 143"

# What was lost is said, once, and left to whoever has it.
status=0
"$hasty" once lost sleep 4 2>told &
child=$!
until kvstore exists lost; do
    sleep 0.05
done
kvstore set lost mine
wait $child || status=$?
[ $status -eq 0 ] || fail "status $status"
expect_value lost mine
[ "$(cat told)" = "kvstore: warning: 'lost' in './data' is not ours any more, \
and the command still runs" ] || fail "it said: $(cat told)"
