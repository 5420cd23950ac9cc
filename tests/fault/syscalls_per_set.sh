#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A durable set in an open store makes exactly one fdatasync and at most six other
# system calls: the lock, the looks at both names and at the limit on file sizes,
# the write, the lock. SETS_IN_A_ROW is the program that makes them.

set -eu
command -v strace >/dev/null 2>&1 || exit 77
dir=$(mktemp -d "${TMPDIR:-/tmp}/kvstore-test-XXXXXX")
trap 'rm -rf "$dir"' EXIT
# The leak check of the address sanitizer does not work under strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
strace -o "$dir/try" true >/dev/null 2>&1 || exit 77

# Prints how many calls in a trace match.
count() {
    grep -c "$2" "$dir/$1" || true
}

mkdir "$dir/store"
"$SETS_IN_A_ROW" "$dir/store" 1
strace -f -o "$dir/one" "$SETS_IN_A_ROW" "$dir/store" 1
strace -f -o "$dir/many" "$SETS_IN_A_ROW" "$dir/store" 101

call='^[0-9]* *[a-z_0-9]*('
syncs=$(($(count many fdatasync) - $(count one fdatasync)))
calls=$(($(count many "$call") - $(count one "$call")))
others=$((calls - syncs))
echo "100 sets: $syncs fdatasync, $others other system calls"

if [ "$syncs" -ne 100 ]; then
    echo "not one fdatasync for each set" >&2
    exit 1
fi
if grep -q -E 'fsync\(|msync\(|sync_file_range' "$dir/many" &&
    [ "$(count many 'fsync(')" -ne "$(count one 'fsync(')" ]; then
    echo "other syncs than fdatasync" >&2
    exit 1
fi
# A few more allocations may happen over a hundred sets.
if [ "$others" -gt 620 ]; then
    echo "more than six other system calls for each set" >&2
    exit 1
fi
if [ "$others" -lt 100 ]; then
    echo "hardly any system calls: nothing was counted" >&2
    exit 1
fi
