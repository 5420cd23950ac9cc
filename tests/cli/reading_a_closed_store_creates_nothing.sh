# SPDX-License-Identifier: MIT
#
# A user who may read a store but not write it gets its values, with an index
# and without one, and changes nothing in the directory.

. "$(dirname "$0")/support.sh"
[ "$(id -u)" -eq 0 ] || skip 'only root can be two users'
need setpriv find cksum
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program
as_stranger() {
    setpriv --reuid 65534 --clear-groups ./program "$@"
}
as_stranger --version >/dev/null 2>&1 ||
    skip 'the program cannot be run as another user'

# expect_reading_alone VALUE
expect_reading_alone() {
    find data -printf '%P %i %m %U %s %T@\n' | sort >before
    cksum data/* >sums
    for attempt in 1 2; do
        expect_status 0 as_stranger get key
        expect_stdout "$1"
        expect_stderr
        expect_status 1 as_stranger get absent
        expect_status 3 as_stranger set key other
        expect_stderr_match 'Permission denied'
        expect_status 3 as_stranger rm key
        expect_stderr_match 'Permission denied'
    done
    find data -printf '%P %i %m %U %s %T@\n' | sort | cmp -s - before ||
        fail 'something in the directory has changed'
    cksum data/* | cmp -s - sums || fail 'a file has changed'
}

kvstore set key value
chmod 755 data
chmod 644 data/*

expect_reading_alone value
kvstore set key newer
expect_reading_alone newer
# A line that no process has folded, and a tail that none has mended. As long as
# there is an index, only a user who may write decides that the line counts.
printf '{"Set":{"key":"key","val":"newest"}}\n{"Set":{"to' >>data/store.log
expect_reading_alone newer
rm data/store.index
expect_reading_alone newest
expect_nothing_at data/store.index
expect_value key newest
[ -e data/store.index ] || fail 'the owner has built no index'
