#!/bin/sh
# SPDX-License-Identifier: MIT
#
# No system call of the library bypasses the table that tests replace: what the
# kernel sees of all workloads of fault_pass is what the table has announced.
# ANNOUNCED_WORKLOADS is the program that runs them, between marks.

set -eu
command -v strace >/dev/null 2>&1 || exit 77
here=$(dirname "$0")
dir=$(mktemp -d "${TMPDIR:-/tmp}/kvstore-test-XXXXXX")
trap 'rm -rf "$dir"' EXIT
# The leak check of the address sanitizer does not work under strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
strace -o "$dir/try" true >/dev/null 2>&1 || exit 77

# judge [PLANT]: prints figures; fails if a call was made beside the table.
judge() {
    strace -f -s 80 -o "$dir/trace" "$ANNOUNCED_WORKLOADS" "$@" >"$dir/counts" ||
        return 1
    awk -f "$here/bypassed_calls.awk" "$dir/counts" "$dir/trace"
}

judge
passed=1
for plant in fsync open flock mmap sleep stat; do
    if judge "$plant" >"$dir/found"; then
        echo "a planted $plant was not found" >&2
        exit 1
    fi
    grep -q "beside the table" "$dir/found" || {
        cat "$dir/found" >&2
        exit 1
    }
    passed=$((passed + 1))
done
echo "$passed passed, 0 failed"
