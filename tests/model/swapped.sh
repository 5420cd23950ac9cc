#!/bin/sh
# SPDX-License-Identifier: MIT
#
# swapped.sh MODEL: spin finds no order of steps, stores and loads in which the
# model breaks a promise; and finds one for each swapped order that the model
# names as wrong. All that it names as harmless together break nothing, too.
# KVSTORE_MODEL_MOST is the size that is tried: one more than the model has by
# default takes minutes, and some GB. If it is set, what is named as slow is tried,
# too.
#
# It is skipped where there is no spin, unless KVSTORE_NEEDS_SPIN is yes.

set -eu
name=$1
folder=$(cd "$(dirname "$0")" && pwd)
model=$folder/$name.pml

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

# number NAME: which the model has for it.
number() {
    sed -n "s/^#define $1 \([0-9]*\)\$/\1/p" "$model"
}

# names HEADING: those that the model has under it.
names() {
    sed -n "/^\/\* $1/,/^\$/ s/^#define \([A-Z_]*\) [0-9]*\$/\1/p" "$model"
}

# search NUMBER MOST: tries all that can happen with this order, and size.
search() {
    SWAPPED=$1 MOST=$2 ./pan -m20000 -w20 >found 2>&1 || :
}

# expect_sound NAME NUMBER MOST
expect_sound() {
    search "$2" "$3"
    if ! grep -q 'errors: 0$' found ||
        grep -q 'Search not completed\|max search depth too small' found; then
        SWAPPED=$2 MOST=$3 ./pan -r "$name.pml.trail" >trail 2>&1 || :
        tail -n 300 trail >last_steps
        fail "there is an error with $1" found last_steps
    fi
    sed -n "s/^ *\([^ ]* states\), stored.*/$1: sound, \1/p" found
}

# expect_broken NAME MOST
expect_broken() {
    search "$(number "$1")" "$2"
    grep -q '^pan:1: assertion violated' found ||
        fail "$1 should be found, and is not" found
    echo "$1: found"
}

spin -a "$model" >made 2>&1 || fail 'spin does not take the model' made
# What spin writes is not ours to mend, so its warnings are not shown.
"${CC:-cc}" -w -O1 -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c ||
    fail 'what spin has made of it does not compile'

default=${KVSTORE_MODEL_MOST:-$(number MOST_BY_DEFAULT)}
small=$(number MOST_FOR_SWAPPED)
expect_sound 'as it is' 0 "$default"
for order in $(names 'Alone:'); do
    expect_sound "$order" "$(number "$order")" "$default"
done
harmless=$(names 'Harmless')
if [ -n "${KVSTORE_MODEL_MOST:-}" ]; then
    harmless="$harmless $(names 'Slow')"
fi
for order in $harmless; do
    case $order in
    ALL_HARMLESS*) expect_sound "$order" "$(number "$order")" "$small" ;;
    esac
done
for order in $(names 'Broken'); do
    expect_broken "$order" "$default"
done
wrong=$(names 'Wrong')
for order in $wrong; do
    expect_broken "$order" "$small"
done
# More than one, or the names were not found.
[ "$(echo "$wrong" | wc -l)" -gt 1 ] || fail 'the model names no orders'
