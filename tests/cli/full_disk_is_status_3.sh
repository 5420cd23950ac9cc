# SPDX-License-Identifier: MIT
#
# A full disk refuses a set, keeps the old value, and does no lasting harm.

. "$(dirname "$0")/support.sh"
mkdir disk
mount -t tmpfs -o size=256k kvstore-test disk 2>/dev/null ||
    skip 'no file system can be mounted here'
before_clean_up() {
    cd /
    umount "$scratch/work/disk" || :
}
export KVSTORE_DATA_DIR=disk/data
kvstore set key old
head -c 400000 /dev/zero | tr '\0' v >large

expect_status 3 kvstore set --stdin key <large
expect_stdout
expect_stderr "kvstore: cannot set 'key' in 'disk/data': $(
    sed -n "s/.*'disk\/data': //p" "$scratch/capture/stderr"
)"
expect_stderr_match 'No space left on device'
expect_value key old
expect_status 0 kvstore set key new
expect_value key new
expect_value key new

# There is room for the line that removes a key, and none for its value.
head -c 6000 large | kvstore set --data-dir disk/queue --stdin job
: >disk/out
cat large large >disk/rest 2>/dev/null || :
expect_status 3 shell '"$KVSTORE" --data-dir disk/queue take job >disk/out'
expect_stderr_match "cannot put back 'job' in 'disk/queue': .*No space left"
expect_stderr_match 'was taken and not put back; its value is in store.log until a compaction: job'
[ "$(grep -c '"Set"' disk/queue/store.log)" -eq 1 ] || fail 'its value is gone'
