# SPDX-License-Identifier: MIT
#
# While the index of a large log is built, a terminal on standard error shows
# how far that is; a pipe does not.

. "$(dirname "$0")/support.sh"
need_terminal
KVSTORE=${KVSTORE_AT_ONCE:?the program that shows its progress at once}

mkdir data
yes '{ "Set": { "key": "user", "value": "Alice in Wonderland" } }' |
    head -n 400000 >data/store.log

expect_status 0 on_terminal '"$KVSTORE" get user 2>&1 >value'
expect_stdout_match 'reading store.log:  *[0-9]* % of 24 MB, [0-9]* MB/s, [0-9]* s left'
# At the end the line is removed.
tr '\r' '\n' <"$scratch/capture/stdout" | tail -n 1 | grep -q '^ *$' ||
    fail 'the line was left there'
grep -qx 'Alice in Wonderland' value || fail 'no value'
rm data/store.index
expect_status 0 kvstore get user
expect_stdout 'Alice in Wonderland'
expect_stderr
