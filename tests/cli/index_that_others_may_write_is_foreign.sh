# SPDX-License-Identifier: MIT
#
# If a user who may not write the log may write the index, the index is not
# believed, whatever it says: it could be empty, and make a compaction drop
# every key.

. "$(dirname "$0")/support.sh"
[ "$(id -u)" -eq 0 ] || skip 'needs root, to be several users'
need setpriv
alice=64101
mallory=64102
team=64103
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program

as() {
    user=$1
    groups=$2
    shift 2
    setpriv --reuid "$user" --regid "$user" --groups "$groups" ./program "$@"
}
as $alice $alice --version >/dev/null ||
    skip 'the program cannot be run as another user'

# Makes a store of alice's, in a directory and with a log of these modes.
make_store() {
    rm -rf data
    mkdir data
    chown $alice:"$1" data
    chmod "$2" data
    as $alice $alice,$team set key value
    as $alice $alice,$team set other value
    chown $alice:"$1" data/store.log data/store.index
    chmod "$3" data/store.log data/store.index
    as $alice $alice,$team get key >/dev/null
}

# Its slots are lost, but its header says that all is well.
empty_the_index() {
    size=$(stat -c %s data/store.index)
    dd if=/dev/zero of=data/store.index bs=4096 seek=1 \
        count=$((size / 4096 - 1)) conv=notrunc status=none
}

# $1: what makes it foreign; $2: a user of these groups ($3) who must see all.
expect_foreign() {
    empty_the_index
    expect_status 0 as "$2" "$3" get key
    expect_stdout value
    as $alice $alice,$team set third value
    as $alice $alice,$team compact
    expect_status 0 as $alice $alice,$team list
    expect_stdout key other third
    [ "$(stat -c %u data/store.index)" != $mallory ] || fail "$1: kept"
}

expect_trusted() {
    inode=$(stat -c %i data/store.index)
    expect_status 0 as "$2" "$3" get key
    expect_stdout value
    [ "$(stat -c %i data/store.index)" = "$inode" ] || fail "$1: built anew"
}

make_store $alice 755 660
expect_trusted 'as it was made' $alice $alice
chown 0:$alice data/store.index
expect_trusted 'of root' $alice $alice

make_store $alice 755 600
chown $mallory:$alice data/store.index
chmod 666 data/store.index
expect_foreign 'of another owner' $alice $alice

make_store $alice 755 600
chmod 666 data/store.index
expect_foreign 'of a mode that lets all write' $alice $alice

make_store $alice 755 644
chgrp $mallory data/store.index
chmod 660 data/store.index
expect_foreign 'of another group' $alice $alice

make_store $alice 755 600
chmod 660 data/store.index
expect_foreign 'of a group that lost the right to the log' $alice $alice

make_store $team 1777 660
chown $mallory:$team data/store.index
chmod 660 data/store.index
expect_foreign 'of another owner, in a directory for all' $alice $alice,$team

# Users who share a store through a group share its index, too.
make_store $team 770 660
expect_trusted 'of the group' $mallory $mallory,$team
chown $mallory:$team data/store.index
expect_trusted 'of a member' $alice $alice,$team

# All but some may write the log: the owner of the index is one of these.
make_store $alice 755 606
chown $mallory:$alice data/store.index
chmod 666 data/store.index
expect_foreign 'of an owner, where some may not write the log' $alice $alice

if command -v setfacl >/dev/null; then
    make_store $alice 755 600
    setfacl -m u:$mallory:rw data/store.index || skip 'no access control lists'
    expect_foreign 'of a list that the log lacks' $alice $alice
    # Its group may not write the log: the mask is what others may.
    make_store $team 755 640
    setfacl -m u:64104:rw data/store.log data/store.index
    chown $mallory:$team data/store.index
    expect_foreign 'of an owner of a group that has no right' $alice $alice,$team
    make_store $alice 755 600
    setfacl -m u:$mallory:rw data/store.log data/store.index
    expect_trusted 'of the list that the log has' $alice $alice
fi
