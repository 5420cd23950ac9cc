#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Through a mount that may only be read, and on a file system that may only be
# read: get works, with an index and without, alongside a writer and without;
# nothing is made or changed; whatever would write fails with status 3.

. "$(dirname "$0")/support.sh"
need find cksum

# All that can be seen of the files in the directory, except when they were
# read.
picture() {
    find "$1" -printf '%P %i %m %U %G %s %n %T@\n' | sort
    find "$1" -type f ! -name store.index -exec cksum {} + | sort
}

# expect_only_reading DIR REAL: through DIR, REAL can be read and stays as it
# is.
expect_only_reading() {
    picture "$2" >"$scratch/before"
    expect_status 0 kvstore -d "$1/data" get key
    expect_stdout value
    expect_stderr
    expect_status 1 kvstore -d "$1/data" get gone
    expect_status 3 kvstore -d "$1/data" set key other
    expect_stderr_match "'$1/data': .*Read-only file system"
    expect_status 3 kvstore -d "$1/data" set new value
    expect_status 3 kvstore -d "$1/data" rm key
    expect_stderr_match "'$1/data': .*Read-only file system"
    expect_status 3 kvstore -d "$1/none" set key value
    expect_status 3 kvstore -d "$1/none" get key
    expect_status 3 kvstore -d "$1/empty" set key value
    expect_status 3 kvstore -d "$1/empty" get key
    picture "$2" >"$scratch/after"
    cmp "$scratch/before" "$scratch/after" || fail 'something has changed'
}

make_store() {
    mkdir -p "$1/empty"
    kvstore -d "$1/data" set key old
    kvstore -d "$1/data" set key value
    kvstore -d "$1/data" set gone value
    kvstore -d "$1/data" rm gone
}

# --- A mount of a directory

mkdir real closed
make_store real
mount --bind real closed 2>/dev/null || skip 'nothing can be mounted here'
mount -o remount,bind,ro closed
expect_only_reading closed real
index=$(inode_of real/data/store.index)
expect_status 0 kvstore -d real/data get key
[ "$(inode_of real/data/store.index)" -eq "$index" ] ||
    fail 'reading by the closed mount has spoilt the index'

keep one none real/data
expect_only_reading closed real
for number in 1 2 3; do
    expect_answer ok one set lives "$number"
    expect_status 0 kvstore -d closed/data get lives
    expect_stdout "$number"
done
expect_answer 'ok 1000' one fill more 0 1000 10
expect_status 0 kvstore -d closed/data get lives
expect_stdout 3
expect_answer ok one compact
expect_status 0 kvstore -d closed/data get lives
expect_stdout 3
release one

printf '{"Set":{"key":"torn' >>real/data/store.log
expect_only_reading closed real
rm real/data/store.index
expect_only_reading closed real
expect_nothing_at real/data/store.index

# --- A file system

try_closed_disk() {
    mount_file "$1" "$1" "$2" || return 0
    make_store "$1"
    mount -o remount,ro "$1"
    expect_only_reading "$1" "$1"
    mount -o remount,rw "$1"
    expect_status 0 kvstore -d "$1/data" set key again
    rm "$1/data/store.index"
    expect_status 0 kvstore -d "$1/data" set key value
    rm "$1/data/store.index"
    mount -o remount,ro "$1"
    expect_only_reading "$1" "$1"
    umount "$1"
    echo "$1: read, and left alone"
}

try_closed_disk tmpfs 2M
try_closed_disk ext4 8M
try_closed_disk xfs 300M
