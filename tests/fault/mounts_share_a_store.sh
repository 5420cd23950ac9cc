#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One store that is reached through several mounts, in one mount namespace and
# in others, is one store: writers lose nothing, an index that one process has
# open is used by all, and processes that come in turns do not build it in
# turns.

. "$(dirname "$0")/support.sh"
need unshare

mkdir real a b
mount --bind real a 2>/dev/null || skip 'nothing can be mounted here'
mount --bind real b

# In a namespace of its own, through a mount that no other process has.
elsewhere() {
    unshare -m "$@"
}

# expect_index INODE
expect_index() {
    [ "$(inode_of real/data/store.index)" -eq "$1" ] ||
        fail 'the index was built anew'
}

# --- Writers through all of them at once

kvstore -d real/data set start value
for writer in 'x a' 'y b' 'z real'; do
    name=${writer%% *}
    echo "fill $name 0 3000 20" |
        elsewhere "$KEPT_OPEN" none "${writer#* }/data" >"$name.answer" &
    eval "pid_$name=$!"
done
for number in 1 2 3 4 5 6 7 8 9 10; do
    for place in a b; do
        expect_status 0 kvstore -d "$place/data" set "$place-$number" "$number"
    done
    expect_status 0 elsewhere "$KVSTORE" -d a/data set "c-$number" "$number"
done
for name in x y z; do
    eval "wait \$pid_$name" || fail "the writer of $name ended with status $?"
    [ "$(tail -n 1 $name.answer)" = 'ok 3000' ] || fail "$(cat $name.answer)"
done
keep one none a/data
keep other none b/data
for name in x y z; do
    expect_answer 'ok 3000' one check "$name" 0 3000 20
    expect_answer 'ok 3000' other check "$name" 0 3000 20
done
for number in 1 2 3 4 5 6 7 8 9 10; do
    for place in a b c; do
        expect_answer "ok $number" other get "$place-$number"
    done
done
expect_answer 'ok 9031' one keys
jq -c . real/data/store.log >/dev/null || fail 'the log is not JSON'

# --- While a process has it open, by whatever mount

release other
index=$(inode_of real/data/store.index)
for number in 1 2 3 4 5; do
    for place in a b real; do
        expect_status 0 kvstore -d "$place/data" set shared "$place-$number"
        expect_answer "ok $place-$number" one get shared
        expect_status 0 elsewhere "$KVSTORE" -d "$place/data" get shared
        expect_stdout "$place-$number"
        expect_answer ok one set shared "$number"
        expect_status 0 kvstore -d "$place/data" get shared
        expect_stdout "$number"
        expect_index "$index"
    done
done
release one

# --- While none has it open, in turns

# take_turns MOUNT...: each of them ten times; one index for each is enough.
take_turns() {
    changes=0
    for number in 1 2 3 4 5 6 7 8 9 10; do
        for place in "$@"; do
            index=$(inode_of real/data/store.index)
            expect_status 0 kvstore -d "$place/data" set shared "$place-$number"
            [ "$(inode_of real/data/store.index)" -eq "$index" ] ||
                changes=$((changes + 1))
        done
    done
    echo "$* in turns: the index was built $changes times"
    [ "$changes" -le $# ] || fail "the index was built $changes times"
}

mkdir c d
mount --bind real c
mount --bind real d
take_turns a b
take_turns c d
take_turns a d real
expect_status 0 kvstore -d c/data set shared d-10

# A new mount builds the index each time; a mount that was there before does
# not.
for number in 1 2 3; do
    expect_status 0 elsewhere "$KVSTORE" -d c/data get shared
    expect_stdout d-10
    index=$(inode_of real/data/store.index)
    for place in c d; do
        expect_status 0 kvstore -d "$place/data" get shared
        expect_stdout d-10
        expect_index "$index"
    done
done

# A larger index is as well known to the mounts as the one that it replaces.
kvstore -d c/data get shared >/dev/null
echo 'fill grow 0 20000 1' | "$KEPT_OPEN" none c/data >grow.answer
[ "$(tail -n 1 grow.answer)" = 'ok 20000' ] || fail "$(cat grow.answer)"
index=$(inode_of real/data/store.index)
expect_status 0 kvstore -d d/data get shared
expect_index "$index"

# --- Two ways in one process

keep one none a/data b/data
for from in 0 1; do
    expect_answer ok one use "$from"
    expect_answer ok one set both "by-$from"
    expect_answer ok one compact
    expect_answer ok one set other "by-$from"
    expect_answer ok one use "$((1 - from))"
    expect_answer "ok by-$from" one get both
    expect_answer "ok by-$from" one get other
done
release one
