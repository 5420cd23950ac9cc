#!/bin/sh
# SPDX-License-Identifier: MIT
#
# On a disk that is really full, be it ext4, XFS or tmpfs: nothing that was
# acknowledged is lost, no process dies of the mapped index (SIGBUS), whatever
# finds room goes on, and so does everything once there is room again.

. "$(dirname "$0")/support.sh"
need df fallocate cmp

# leave_room KIB: a ballast takes the rest of the disk, to the last block.
leave_room() {
    rm -f ballast
    settle
    free=$(df -k --output=avail . | tail -n 1)
    fallocate -l "$((free > 512 ? free - 512 : 1))K" ballast 2>/dev/null || :
    # A disk that has been full once may have some room after it has settled.
    for attempt in 1 2 3; do
        cat /dev/zero >>ballast 2>/dev/null || :
        settle
    done
    if [ "$1" -gt 0 ]; then
        truncate -s "-$1K" ballast
        settle
    fi
}

no_ballast() {
    rm -f ballast
    settle
}

# Blocks that were freed are free for others once the file system has said so.
settle() {
    sync -f .
}

# expect_jq_lines COUNT: the log is this many lines of JSON.
expect_jq_lines() {
    [ "$(jq -c . data/store.log | wc -l)" -eq "$1" ] ||
        fail "the log is not $1 lines of JSON"
    [ "$(wc -l <data/store.log)" -eq "$1" ] || fail "the log has other lines"
}

log_size() {
    stat -c %s data/store.log
}

# fill_by_command SIZE: sets fill-1 and so on by the command until one fails,
# which must be for lack of room; $filled says how many did not.
fill_by_command() {
    filled=0
    head -c "$1" /dev/zero | tr '\0' v >"$scratch/value"
    while [ "$filled" -lt 5000 ]; do
        last_command="set $1-$((filled + 1))"
        actual=0
        kvstore set --stdin "$1-$((filled + 1))" <"$scratch/value" \
            2>"$scratch/capture/stderr" || actual=$?
        [ "$actual" -eq 0 ] || break
        filled=$((filled + 1))
    done
    [ "$actual" -eq 3 ] || fail "status $actual of a set on a full disk"
    expect_stderr_match 'No space left on device'
}

expect_filled() {
    head -c "$1" /dev/zero | tr '\0' v >"$scratch/value"
    number=$2
    while [ "$number" -gt 0 ]; do
        kvstore get -r "$1-$number" | cmp -s - "$scratch/value" ||
            fail "$1-$number is not as it was set"
        number=$((number - 1))
    done
}

# A set or rm on a full disk is done or not: the value is either one.
either() {
    key=$1
    before=$2
    after=$3
    shift 3
    actual=0
    "$@" 2>"$scratch/capture/stderr" || actual=$?
    case $actual in
    0) expect_value "$key" "$after" ;;
    3)
        expect_stderr_match 'No space left on device'
        expect_value "$key" "$before"
        ;;
    *) fail "status $actual of $*" ;;
    esac
}

commands_fill_a_disk() {
    kvstore set key old
    kvstore set other old
    leave_room 1000
    fill_by_command 65536
    large=$filled
    fill_by_command 3000
    small=$filled
    fill_by_command 10
    tiny=$filled
    expect_status 3 kvstore set --stdin large <"$scratch/ballast-sized"
    either key old new kvstore set key new
    either other old newer kvstore set other newer
    expect_status 1 kvstore get absent
    expect_filled 65536 "$large"
    expect_filled 3000 "$small"
    expect_filled 10 "$tiny"
    echo "  by the command: $large, $small and $tiny sets until it was full"
    [ "$large" -gt 2 ] || fail 'there was no room to begin with'

    no_ballast
    expect_status 0 kvstore set key newest
    expect_value key newest
    expect_status 0 kvstore set --stdin large <"$scratch/ballast-sized"
    expect_status 0 kvstore rm 10-1
    expect_absent 10-1
    jq -c . data/store.log >/dev/null || fail 'the log is not JSON'
    rm -r data
}

# There is room for lines, and none for the index to grow at so many keys.
growth_is_refused() {
    from=$1
    limit=$2
    expect_answer "ok $((limit - 1 - from))" \
        one fill k "$from" "$((limit - 1 - from))" 20
    leave_room 12
    expect_answer 'ok 1' one fill k "$((limit - 1))" 1 20
    size=$(log_size)
    index=$(inode_of data/store.index)
    expect_no_space one fill k "$limit" 1 20
    expect_no_space other fill k "$limit" 1 20
    expect_status 3 kvstore set "k-$limit" value
    expect_stderr_match 'No space left on device'
    [ "$(log_size)" -eq "$size" ] || fail 'a refused set has written'
    [ "$(ls data)" = "store.index
store.log" ] || fail "there is more than log and index: $(ls data)"
    [ "$(inode_of data/store.index)" -eq "$index" ] || fail 'another index'

    expect_answer ok one set k-0 overwritten
    expect_value k-0 overwritten
    expect_answer ok other rm k-1
    expect_absent k-1
    expect_answer 'failed key not found' one get k-1
    expect_status 0 kvstore set k-0 again
    expect_answer 'ok again' other get k-0
    expect_answer "ok $((limit - 2))" one check k 2 "$((limit - 2))" 20
    expect_answer "ok $((limit - 1))" other keys

    no_ballast
    expect_answer ok other set k-1 back
    expect_answer 'ok 1' one fill k "$limit" 1 20
    expect_answer 'ok back' one get k-1
    [ "$(inode_of data/store.index)" -ne "$index" ] || fail 'it has not grown'
    expect_answer "ok $((limit - 1))" other check k 2 "$((limit - 1))" 20
}

# The index is mapped by two handles while the disk fills to its last block.
handles_fill_a_disk() {
    leave_room 512
    size=$(log_size)
    for bytes in 8000 500 1; do
        expect_no_space one fill "one-$bytes" 0 100000 "$bytes"
        eval "of_one_$bytes=\${answer#failed }"
        ask other fill "other-$bytes" 0 5 "$bytes"
    done
    settle
    for bytes in 8000 500 1; do
        eval "done=\${of_one_$bytes%% *}"
        expect_answer "ok $done" other check "one-$bytes" 0 "$done" "$bytes"
        expect_answer "ok $done" one check "one-$bytes" 0 "$done" "$bytes"
    done
    [ "$(log_size)" -gt "$((size + 100000))" ] || fail 'there was no room'
    sum=$(cksum <data/store.log)
    ask one compact
    case $answer in
    failed*'No space left on device') ;;
    *) fail "$answer: a compaction on a full disk" ;;
    esac
    [ "$(cksum <data/store.log)" = "$sum" ] || fail 'the log has changed'
    expect_answer 'ok back' other get k-1
    ask other rm k-1
    ask one get k-1
    case $answer in
    'ok back' | 'failed key not found') ;;
    *) fail "$answer: a removed key on a full disk" ;;
    esac

    no_ballast
    expect_answer ok other set k-1 later
    expect_jq_lines "$(wc -l <data/store.log)"
    ask one keys
    keys=$answer
    expect_answer ok one compact
    expect_jq_lines "${keys#ok }"
    expect_answer "$keys" other keys
    expect_answer 'ok later' other get k-1
    expect_answer ok other set k-1 last
    expect_value k-1 last
}

# There is room for a line, and none for an index: what is there can be read, and
# compacted as soon as there is room for that.
index_is_lost() {
    rm data/store.index
    leave_room 8
    sum=$(cksum <data/store.log)
    for command in 'set k-1 refused' 'set k-new refused' 'rm k-1'; do
        # shellcheck disable=SC2086
        expect_status 3 kvstore $command
        expect_stderr_match 'No space left on device'
    done
    expect_value k-1 last
    expect_status 0 kvstore list
    expect_status 0 kvstore stats
    expect_status 0 kvstore verify
    [ "$(cksum <data/store.log)" = "$sum" ] || fail 'the log has changed'
    [ "$(ls data)" = store.log ] || fail "there is more: $(ls data)"
    no_ballast
    expect_status 0 kvstore set k-1 taken
    expect_value k-1 taken
    [ -e data/store.index ] || fail 'there is no index yet'
}

# ext4 keeps some room back, from which an index gets blocks but a line does
# not. Nothing is kept back, so that the test can say what there is room for.
keep_nothing_back() {
    [ "$(stat -f -c %T .)" = ext2/ext3 ] || return 0
    device=$(df --output=source . | tail -n 1)
    kept_back=/sys/fs/ext4/${device##*/}/reserved_clusters
    { echo 0 >"$kept_back"; } 2>/dev/null || no_mount "$kept_back is not ours"
}

try_disk() {
    echo "$1:"
    mount_file "$1" "$1" "$2" || return 0
    cd "$1"
    commands_fill_a_disk
    keep_nothing_back || return 0
    keep one none data
    keep other always data
    # Where the index grows: each time by half, and to more than is left.
    growth_is_refused 0 972
    growth_is_refused 973 1458
    growth_is_refused 1459 2187
    handles_fill_a_disk
    release one
    release other
    [ "$(ls data)" = "store.index
store.log" ] || fail "there is more than log and index: $(ls data)"
    index_is_lost
    echo '  by two handles, and without an index: all as it should be'
    cd ..
    umount "$1"
    tried=yes
}

head -c 200000 /dev/zero | tr '\0' v >"$scratch/ballast-sized"
tried=no
try_disk tmpfs 6M
try_disk ext4 12M
try_disk xfs 300M
[ "$tried" = yes ] || skip 'no file system can be mounted here'
