#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A file system that is unmounted and mounted again, within one boot, may have
# lost pages of the index on their way to the disk: the index is checked once,
# and built anew only if it is not true. All answers are right.

. "$(dirname "$0")/support.sh"

# An older kernel gives the number of a removed mount to the next one.
release=$(uname -r)
major=${release%%.*}
minor=${release#*.}
minor=${minor%%[!0-9]*}
[ "$((major * 1000 + minor))" -ge 6008 ] ||
    skip "Linux $release uses the numbers of mounts again"

# A loop device that is open is not detached: the file system keeps its number,
# which another one might have by now.
mount_again() {
    loop=$(df --output=source disk | sed 1d)
    exec 9<"$loop"
    umount disk
    mount -t "$1" "$loop" disk
    exec 9<&-
}

expect_all() {
    keep one none disk/data
    expect_answer 'ok 499' one check k 1 499 30
    expect_answer 'failed key not found' one get k-0
    expect_answer 'ok 499' one keys
    release one
}

try_remounts() {
    mount_file disk "$1" "$2" || return 0
    rm -rf disk/data
    keep one always disk/data
    expect_answer 'ok 500' one fill k 0 500 30
    expect_answer ok one rm k-0
    release one

    for attempt in 1 2; do
        index=$(inode_of disk/data/store.index)
        if [ "$attempt" -eq 2 ]; then
            # As a failing disk may leave it.
            dd if=/dev/zero of=disk/data/store.index bs=4096 seek=1 count=2 \
                conv=notrunc 2>/dev/null
        fi
        mount_again "$1"
        expect_all
        built=$(inode_of disk/data/store.index)
        case $attempt in
        1) [ "$built" -eq "$index" ] || fail 'a true index was built anew' ;;
        2) [ "$built" -ne "$index" ] || fail 'an index of before was trusted' ;;
        esac
        expect_all
        expect_status 0 kvstore -d disk/data get k-7
        [ "$(inode_of disk/data/store.index)" -eq "$built" ] ||
            fail 'the index was built again'
    done
    [ "$(ls disk/data)" = "store.index
store.log" ] || fail "there is more than log and index: $(ls disk/data)"
    umount disk
    rm -f disk.image
    echo "$1: checked once for each mount"
    tried=yes
}

tried=no
try_remounts ext4 8M
try_remounts xfs 300M
[ "$tried" = yes ] || skip 'no file system can be mounted here'
