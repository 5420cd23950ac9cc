# SPDX-License-Identifier: MIT
#
# A compaction shows on a terminal how far it is, in one line that it removes at
# the end.

. "$(dirname "$0")/support.sh"
need_terminal
KVSTORE=${KVSTORE_AT_ONCE:?the program that shows its progress at once}

mkdir data
yes '{ "Set": { "key": "user", "value": "Alice in Wonderland" } }' |
    head -n 400000 >data/store.log
kvstore get user >got

expect_status 0 on_terminal '"$KVSTORE" compact'
expect_stdout_match 'compacting:  *[0-9]* % of 24 MB, [0-9]* MB/s, [0-9]* s left'
tr '\r' '\n' <"$scratch/capture/stdout" | tail -n 1 | grep -q '^ *$' ||
    fail 'the line was left there'
[ "$(wc -l <data/store.log)" -eq 1 ] || fail 'it did not compact'
