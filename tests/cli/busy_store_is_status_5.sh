# SPDX-License-Identifier: MIT
#
# A writer that does not get the lock in time reports it, and has changed
# nothing.

. "$(dirname "$0")/support.sh"
need flock
kvstore set key value
exec 9<data
flock 9

for seconds in 0 0.2; do
    for command in 'set key new' 'rm key'; do
        expect_status 5 kvstore --timeout "$seconds" $command
        expect_stdout
        expect_stderr_match "^kvstore: cannot .*'./data': "
    done
done
expect_status 5 env KVSTORE_TIMEOUT=0 "$KVSTORE" set key new
expect_status 5 env KVSTORE_TIMEOUT=60 "$KVSTORE" --timeout 0 set key new

# A failure other than a missing key stops rm at once.
log=$(cat data/store.log)
expect_status 5 kvstore --timeout 0 rm key key
[ "$(wc -l <"$scratch/capture/stderr")" -eq 1 ] || fail 'rm went on'
[ "$(cat data/store.log)" = "$log" ] || fail 'the log has changed'

exec 9<&-
expect_value key value
expect_status 0 kvstore --timeout 0 set key new
expect_value key new
