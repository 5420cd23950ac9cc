#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How writers publish to the shared index, as publishing.pml describes it: spin
# finds no order of steps, stores and loads that breaks a promise; and finds one
# after each change that the model names as wrong. All that it names as harmless
# together break nothing, too. KVSTORE_MODEL_LINES is the length of the log that
# is tried, 3 by default; 4 takes half a minute more, and 700 MB.
#
# It is skipped where there is no spin, unless KVSTORE_NEEDS_SPIN is yes.

set -eu
model=$(cd "$(dirname "$0")" && pwd)/publishing.pml
lines=${KVSTORE_MODEL_LINES:-3}

if ! command -v spin >/dev/null; then
    if [ "${KVSTORE_NEEDS_SPIN:-}" = yes ]; then
        echo 'FAILED: there is no spin' >&2
        exit 1
    fi
    echo 'skipped: there is no spin'
    exit 77
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/kvstore-model.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$scratch"

fail() {
    echo "FAILED: $1" >&2
    shift
    for file in "$@"; do
        cat "$file" >&2
    done
    exit 1
}

# make CFLAG NAME LINES: ./pan, which checks the model with this change.
make() {
    spin -a "-DMUTATION=$2" "-DLINES=$3" "$model" >made 2>&1 ||
        fail "spin does not take the model with $2" made
    # What spin writes is not ours to mend, so its warnings are not shown.
    "${CC:-cc}" -w "$1" -DSAFETY -DCOLLAPSE -DMEMLIM=1000 -o pan pan.c ||
        fail "what spin has made of $2 does not compile"
}

# expect_sound NAME LINES
expect_sound() {
    make -O2 "$1" "$2"
    ./pan -m20000 -w22 >found 2>&1 || fail "pan fails on $1" found
    if ! grep -q 'errors: 0$' found ||
        grep -q 'Search not completed\|max search depth too small' found; then
        spin -k publishing.pml.trail -p "-DMUTATION=$1" "-DLINES=$2" "$model" \
            >trail 2>&1 || :
        tail -n 200 trail >last_steps
        fail "there is an error with $1" found last_steps
    fi
    sed -n "s/^ *\([^ ]* states\), stored.*/$1: sound, \1/p" found
}

# expect_broken NAME: a log of three lines is enough to find it.
expect_broken() {
    make -O0 "$1" 3
    ./pan -m20000 -w18 >found 2>&1 || :
    grep -q '^pan:1: assertion violated' found ||
        fail "$1 should be found, and is not" found
    echo "$1: found"
}

# names HEADING: those that the model has under it.
names() {
    sed -n "/^\/\* $1:/,/^\$/ s/^#define \([A-Z_]*\) [0-9]*\$/\1/p" "$model"
}

expect_sound NO_MUTATION "$lines"
expect_sound ALL_HARMLESS 3
wrong=$(names Wrong)
for name in $wrong; do
    expect_broken "$name"
done
# More than one, or the names were not found.
[ "$(echo "$wrong" | wc -l)" -gt 1 ] || fail 'the model names no changes'
