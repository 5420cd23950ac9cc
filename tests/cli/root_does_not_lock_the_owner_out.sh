# SPDX-License-Identifier: MIT
#
# Root that once sets a key in another user's store, as by sudo, leaves no file
# that the owner cannot use: whether root found an index or had to build it,
# grew it, compacted, or cut off a torn end.

. "$(dirname "$0")/support.sh"
[ "$(id -u)" -eq 0 ] || skip 'only root can do what root does'
need setpriv find
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program

owner=65533
group=65532
as_owner() {
    setpriv --reuid "$owner" --regid "$group" --clear-groups ./program "$@"
}
as_owner --version >/dev/null 2>&1 ||
    skip 'the program cannot be run as another user'

# expect_his_own: every file is the owner's, and the owner can do everything.
expect_his_own() {
    others=$(find home -printf '%p %U %G %m\n' |
        grep -v -e " $owner $group 600\$" -e " $owner $group 700\$" || :)
    [ -z "$others" ] || fail "not as its owner has it: $others"
    expect_status 0 as_owner -d home/data set mine "$1"
    expect_status 0 as_owner -d home/data get mine
    expect_stdout "$1"
    expect_status 0 as_owner -d home/data get by-root
    expect_status 0 as_owner -d home/data rm mine
    expect_status 1 as_owner -d home/data get mine
    expect_value key value
}

mkdir -m 700 home
chown "$owner:$group" home
export KVSTORE_DATA_DIR=home/data
as_owner -d home/data set key value

expect_status 0 kvstore set by-root found
expect_his_own 1

rm home/data/store.index
expect_status 0 kvstore set by-root built
expect_his_own 2

rm home/data/store.index
expect_status 0 kvstore get key
expect_his_own 3

# The very first set, in a directory that is the owner's already.
mkdir -m 700 home/empty
chown "$owner:$group" home/empty
expect_status 0 kvstore -d home/empty set first value
expect_his_own 3
expect_status 0 as_owner -d home/empty set first newer

# After this many lines an index of the smallest size has to grow; the next set
# by root finds them.
awk 'BEGIN {
    for (i = 0; i < 5000; i++)
        printf "{\"Set\":{\"key\":\"many-%d\",\"val\":\"\"}}\n", i
}' >>home/data/store.log
expect_status 0 kvstore set by-root grown
expect_his_own 4

# A tail of more than one line is saved beside the log.
printf '{"Set":{"key":"to\nrn' >>home/data/store.log
expect_status 0 kvstore set by-root mended
[ -e home/data/store.log.cut-* ] || fail 'the tail was not saved'
expect_his_own 5

before=$(stat -c %i home/data/store.log)
head -c 700000 /dev/zero | tr '\0' v >large
for round in 1 2 3 4; do
    expect_status 0 kvstore set --stdin large <large
done
[ "$(stat -c %i home/data/store.log)" -ne "$before" ] ||
    fail 'there was no compaction'
expect_his_own 6
