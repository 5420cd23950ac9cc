# SPDX-License-Identifier: MIT
#
# An import shows on a terminal how far it is, in one line that it removes at the
# end: of a file in percent, of a pipe in megabytes. Elsewhere it says nothing
# unless it is asked to.

. "$(dirname "$0")/support.sh"
need_terminal
KVSTORE=${KVSTORE_AT_ONCE:?the program that shows its progress at once}

seq 200000 | sed 's/.*/{"key":"user:&","value":"Alice in Wonderland"}/' >rows

expect_status 0 on_terminal '"$KVSTORE" import rows'
expect_stdout_match 'importing:  *[0-9]* % of 10 MB, [0-9]* MB/s, [0-9]* s left'
tr '\r' '\n' <"$scratch/capture/stdout" | tail -n 1 | grep -q '^ *$' ||
    fail 'the line was left there'

expect_status 0 on_terminal 'cat rows | "$KVSTORE" -d piped import'
expect_stdout_match 'importing: [0-9]* MB, [0-9]* MB/s'

expect_status 0 on_terminal '"$KVSTORE" -q -d quiet import rows'
expect_stdout
expect_status 0 "$KVSTORE" -d mailed import rows
expect_stderr
expect_status 0 "$KVSTORE" --progress -d asked import rows
expect_stderr_match '^kvstore: importing:  50 % of 10 MB, '

echo no-json >>rows
expect_status 7 on_terminal '"$KVSTORE" -d bad import rows'
tr '\r' '\n' <"$scratch/capture/stdout" | grep -q '^kvstore: line 200001: ' ||
    fail 'the bad line was not told by itself'
