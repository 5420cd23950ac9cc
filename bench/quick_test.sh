#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Checks that a quick run of the benchmark measures every workload on kvstore,
# leaves no files, and ends well when it is interrupted. Speed does not matter
# here. Takes the program's path; needs jq.

set -eu
bench=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "$*" >&2
    exit 1
}

"$bench" --quick --keys 1000 --stores kvstore --json figures.json >tables.md
test "$(ls)" = "$(printf 'figures.json\ntables.md')" || fail "left: $(ls)"

# On a machine that is too slow for all of it, nothing can be checked.
slow='no time was left|did not end in time|too slow'
failed=$(jq -c --arg slow "$slow" '.failures[]
    | select(.reason | test($slow) | not)' figures.json)
test -z "$failed" || fail "failed: $failed"
jq -e '.failures == []' figures.json >/dev/null || exit 77
# Each workload has a figure for kvstore, unless kvstore lacks what it takes.
missing=$(jq -r '[.results[].workload] as $there
    | [.not_offered[].workload] as $absent
    | .workloads[].name
    | select((IN($there[]) or IN($absent[])) | not)' figures.json)
test -z "$missing" || fail "no figures for: $missing"
for workload in fill-sequential fill-batch fill-random overwrite remove \
    durable durable-16-threads expiring get get-2-threads get-beside-writer \
    get-missing iterate prefix mixed-95-5 mixed-50-50 open one-shot memory \
    disk compaction rebuild growth latency latency-compacting kill cost \
    compaction-rate stall stall-paced stall-thread stall-thread-paced \
    stall-process stall-process-paced amplification amplification-zipf scale; do
    jq -e --arg workload "$workload" '[.results[]
        | select(.workload == $workload and .store == "kvstore"
            and .median >= 0)] | length > 0' figures.json >/dev/null ||
        fail "no figure for $workload"
done

status=0
"$bench" --quick --stores no-such-store 2>/dev/null || status=$?
test "$status" -eq 2 || fail "an unknown store is status $status"

# An interrupt in the middle of a run of some seconds.
"$bench" --stores kvstore --workloads get >interrupted.md &
id=$!
sleep 0.5
kill -TERM "$id"
status=0
wait "$id" || status=$?
test "$status" -eq 143 || fail "SIGTERM is status $status"
test -z "$(find . -name 'kvstore-bench-*')" || fail "left: $(ls)"
