# SPDX-License-Identifier: MIT
#
# A user who may write the directory can put files under the store's names:
# root, which makes a store there or compacts it, gives none of them away, and
# writes into none of them.

. "$(dirname "$0")/support.sh"
[ "$(id -u)" -eq 0 ] || skip 'only root can do what root does'
need setpriv mkfifo
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program

# A user, and a group of two: numbers that are not used here.
neighbour=65531
reader=65530
group=65529
as() {
    user=$1
    shift
    setpriv --reuid "$user" --regid "$group" --clear-groups "$@"
}
as "$neighbour" ./program --version >/dev/null 2>&1 ||
    skip 'the program cannot be run as another user'

# state_of FD: owner, group and mode of what is open there, whatever its name.
state_of() {
    stat -L -c '%u %g %a' "/proc/self/fd/$1"
}

# A file of root's that the neighbour moves to the log's name and back, over and
# over, while root makes a store.
mkdir -m 755 race
chown "$neighbour:$group" race
: >moving
as "$neighbour" sh -c 'while [ -e moving ]; do
    mv -f race/secret race/store.log
    mv -f race/store.log race/secret
done' 2>/dev/null &
stop_moving() {
    rm -f "$scratch/work/moving"
    wait
}
before_clean_up() {
    stop_moving
}
for round in $(seq 80); do
    rm -f race/store.*
    (umask 077 && echo secret >secret)
    exec 3<secret
    mv secret race/secret
    last_command="set in round $round"
    kvstore -d race set key value >/dev/null 2>&1 || :
    [ "$(state_of 3)" = '0 0 600' ] ||
        fail "in round $round a file of root's was given away: $(state_of 3)"
    exec 3<&-
done
stop_moving
rm -rf race

# A neighbour who may write the directory left this as an unfinished compaction,
# and keeps it open.
mkdir -m 775 data
chgrp "$group" data
expect_status 0 kvstore set key value
chmod 600 data/store.log
as "$neighbour" sh -c 'echo planted >data/store.log.compact'
exec 3<>data/store.log.compact
expect_status 0 kvstore compact
[ "$(state_of 3)" = "$neighbour $group 644" ] ||
    fail "it was given away: $(state_of 3)"
[ "$(cat <&3)" = planted ] || fail 'root wrote into a file of the neighbour'
[ "$(stat -L -c %i /proc/self/fd/3)" -ne "$(stat -c %i data/store.log)" ] ||
    fail "the neighbour's file has become the log"
exec 3<&-
[ "$(stat -c '%u %g %a' data/store.log)" = "0 $group 600" ] ||
    fail "the log is $(stat -c '%u %g %a' data/store.log)"

# What has that name and is no file is removed, or named.
mkfifo data/store.log.compact
expect_status 0 kvstore compact
mkdir data/store.log.compact
expect_status 3 kvstore compact
expect_stderr_match 'cannot remove store.log.compact: Is a directory'
rmdir data/store.log.compact

# The group shares the directory, so it gets the log, whatever the umask;
# others, which may read the directory, get what the umask leaves them.
umask 077
mkdir shared
chmod 2775 shared
chgrp "$group" shared
expect_status 0 kvstore -d shared set key value
[ "$(stat -c '%u %g %a' shared/store.log)" = "0 $group 660" ] ||
    fail "the log is $(stat -c '%u %g %a' shared/store.log)"
expect_status 0 as "$reader" ./program -d shared stats
mkdir own
chmod 755 own
expect_status 0 kvstore -d own set key value
[ "$(stat -c %a own/store.log)" = 600 ] || fail 'the umask was not heeded'
# A list for new files counts, and the umask does not.
mkdir listed
chmod 755 listed
if command -v setfacl >/dev/null && setfacl -d -m "u:$reader:rw" listed \
    2>/dev/null; then
    expect_status 0 kvstore -d listed set key value
    expect_status 0 as "$reader" ./program -d listed get key
fi
for file in shared/store.index own/store.index; do
    [ "$(stat -c '%u %g %a' "$file")" = \
        "$(stat -c '%u %g %a' "${file%index}log")" ] ||
        fail "$file is not as open as its log"
done
