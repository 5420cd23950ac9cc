# SPDX-License-Identifier: MIT
#
# stats prints a name, a blank and a value a line, under the names of --json, in
# their order; the last one is why a compaction is or is not due.

. "$(dirname "$0")/support.sh"
need jq
kvstore set a 1
kvstore set a 2

expect_status 0 kvstore stats --json
jq -r 'to_entries[] | "\(.key) \(.value | if . == null then "none" else . end)"' \
    "$scratch/capture/stdout" >expected
expect_status 0 kvstore stats
expect_stdout_of_file expected
expect_stdout_match '^keys 1$'
expect_stdout_match '^damaged_offset none$'
tail -n 1 "$scratch/capture/stdout" | grep -q '^compaction not due: ' ||
    fail 'the last line does not say why'
[ "$(kvstore stats | awk '$1 == "live_bytes" { print $2 }')" -gt 0 ] ||
    fail 'awk does not find it'
