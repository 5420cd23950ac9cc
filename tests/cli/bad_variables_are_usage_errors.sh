# SPDX-License-Identifier: MIT
#
# A bad value in a variable is reported by the variable's name, for every
# command, unless an option takes its place.

. "$(dirname "$0")/support.sh"

for command in 'set key value' 'get key' 'rm key'; do
    expect_status 2 env KVSTORE_SYNC=maybe "$KVSTORE" $command
    expect_stderr_match "^kvstore: KVSTORE_SYNC: 'maybe' "
    expect_stdout
    expect_status 2 env KVSTORE_TIMEOUT=1x "$KVSTORE" $command
    expect_stderr_match "^kvstore: KVSTORE_TIMEOUT: '1x' "
done
expect_nothing_at data

expect_status 0 env KVSTORE_SYNC=maybe "$KVSTORE" --sync none set key value
expect_status 0 env KVSTORE_TIMEOUT=1x "$KVSTORE" set --timeout 1 key value
expect_status 0 env KVSTORE_SYNC=none KVSTORE_TIMEOUT=.5 "$KVSTORE" get key
expect_stdout value
