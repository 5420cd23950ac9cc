# SPDX-License-Identifier: MIT
#
# Programs for both machines use one store, in turn and at once. An index of the
# other byte order is recognised, not trusted, and built anew; one of a
# program's own order is shared, whatever the size of a pointer.

. "$(dirname "$0")/support.sh"

# Writes and reads with the program of this name; the index must then be its
# own.
use() {
    expect_status 0 "$1" set "$2" "of $1"
    expect_status 0 "$1" verify
    expect_stdout
    expect_status 0 "$1" get first
    expect_stdout 'of kvstore'
    expect_status 0 "$1" get "$2"
    expect_stdout "of $1"
    [ "$(index_tag)" = "$3" ] || fail "the index is not that of $1"
}

(mkdir elsewhere && cd elsewhere && other set key value)
other_tag=$(cd elsewhere && index_tag)
expect_status 0 kvstore set first 'of kvstore'
own_tag=$(index_tag)
index=$(stat -c %i data/store.index)

expect_status 0 other get first
expect_stdout 'of kvstore'
for round in 1 2 3; do
    use other "other $round" "$other_tag"
    use kvstore "kvstore $round" "$own_tag"
done
if [ "$own_tag" = "$other_tag" ]; then
    [ "$(stat -c %i data/store.index)" -eq "$index" ] ||
        fail 'the index was built anew, and need not be'
fi

write_some() {
    for number in 1 2 3 4 5 6 7 8 9 10; do
        "$1" set "$1 beside $number" "of $1" || return 1
    done
}
export KVSTORE_TIMEOUT=60 # A slow disk is not a failure.
write_some kvstore &
write_some other || fail 'the other one cannot write beside'
wait $! || fail 'this one cannot write beside'
for program in kvstore other; do
    expect_status 0 "$program" verify
    expect_status 0 "$program" list
    cp "$scratch/capture/stdout" "$program.list"
    [ "$(wc -l <"$program.list")" -eq 27 ] || fail 'keys are missing'
    for number in 1 2 3 4 5 6 7 8 9 10; do
        expect_status 0 "$program" get "other beside $number"
        expect_stdout 'of other'
        expect_status 0 "$program" get "kvstore beside $number"
        expect_stdout 'of kvstore'
    done
done
cmp kvstore.list other.list || fail 'they see other keys'
