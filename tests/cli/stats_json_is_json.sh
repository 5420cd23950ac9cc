# SPDX-License-Identifier: MIT
#
# stats --json is one line of JSON that jq reads.

. "$(dirname "$0")/support.sh"
need jq
kvstore set a 1
kvstore set a 22
echo 'what is this' >>data/store.log
kvstore set b 1 2>/dev/null

expect_status 0 kvstore -q stats --json
[ "$(wc -l <"$scratch/capture/stdout")" -eq 1 ] || fail 'not one line'
jq -e --argjson size "$(wc -c <data/store.log)" '
    .keys == 2 and .damaged_bytes == 0 and .damaged_offset == null and
    .log_bytes == $size and .compaction_due == false and
    .live_bytes + .stale_bytes + .blank_bytes + .damaged_bytes == $size and
    (.compaction | startswith("not due: "))' \
    "$scratch/capture/stdout" >jq-says || fail 'the counters are wrong'

sed -i '1s/"1"/"2"/' data/store.log
rm data/store.index
expect_status 0 kvstore -q stats --json
jq -e '.damaged_offset == 0 and .damaged_records == 1' \
    "$scratch/capture/stdout" >jq-says || fail 'the damage is not told'
