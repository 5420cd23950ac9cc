#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Cuts the power of real file systems under processes that write to two stores,
# at any moment: nothing that was acknowledged is lost, and no batch is there by
# half. A cut is the call that shuts a file system down as it is; then it is
# mounted again, from another block device, and replays its journal. (What a
# disk has been given survives this. States in which it lost some of that are
# those of fault.crash_states.) Faults that are planted must be found.
#
# KVSTORE_POWER_CUTS: how many in all (36). KVSTORE_POWER_SEED: another seed (1).

. "$(dirname "$0")/support.sh"
: "${CUT_POWER:?the path of the program}"
need awk

cuts=${KVSTORE_POWER_CUTS:-36}
seed=${KVSTORE_POWER_SEED:-1}
cuts_per_disk=150
echo "seed $seed"

# make_disk NAME TYPE SIZE: an empty file system in NAME.image.
make_disk() {
    rm -f "$1.image"
    mount_file "$@" || return 1
    umount "$1"
}

# Adds up the numbers in lines that have the same words.
add_up() {
    awk '
        {
            line = NR % 2
            for (i = 1; i <= NF; i++) {
                number = $i
                comma[line, i] = sub(/,$/, "", number) ? "," : ""
                is_number = number ~ /^[0-9]+$/
                sum[line, i] = is_number ? sum[line, i] + number : number
            }
            fields[line] = NF
        }
        END {
            for (line = 1; line >= 0; line--) {
                text = ""
                for (i = 1; i <= fields[line]; i++) {
                    text = text " " sum[line, i] comma[line, i]
                }
                print " " text
            }
        }' "$1"
}

# cut_often NAME TYPE OPTIONS CUTS: on several file systems, one after the other.
cut_often() {
    : >"$1.figures"
    left=$4
    part=0
    while [ "$left" -gt 0 ]; do
        now=$((left < cuts_per_disk ? left : cuts_per_disk))
        left=$((left - now))
        [ "$part" -eq 0 ] || make_disk "$1" "$2" 300M
        "$CUT_POWER" "$1.image" "$2" "$3" "$1" "$now" \
            "$((seed * 10000 + part))" >>"$1.figures" 2>"$1.messages" ||
            return 1
        part=$((part + 1))
    done
}

# find_faults NAME TYPE OPTIONS FAULT...
find_faults() {
    name=$1
    type=$2
    options=$3
    shift 3
    for fault; do
        make_disk "$name" "$type" 300M
        status=0
        "$CUT_POWER" "$name.image" "$type" "$options" "$name" 200 "$seed" \
            "$fault" >"$name.figures" 2>"$name.messages" || status=$?
        if [ "$status" -ne 2 ]; then
            head -n 20 "$name.messages" >&2
            fail "$name: $fault is not found, but status $status"
        fi
        sed -n "1s/^[^:]*: \([0-9]*\).*/  $name: $fault is found at cut \1/p" \
            "$name.figures"
    done
}

# Images in memory need no time of the disk below.
if mount_file memory tmpfs 600M; then
    cd memory
fi

disks=''
make_disk ordered ext4 300M && disks="$disks ordered"
make_disk writeback ext4 300M && disks="$disks writeback"
make_disk xfs xfs 300M && disks="$disks xfs"
[ -n "$disks" ] || skip 'no file system can be mounted here'
part_of_cuts=$(((cuts + 2) / 3))

# Each waits for the kernel most of the time, so they run side by side.
pids=''
trap 'kill $pids 2>/dev/null; exit 143' HUP INT TERM
for disk in $disks; do
    case $disk in
    xfs) cut_often xfs xfs '' "$part_of_cuts" & ;;
    *) cut_often "$disk" ext4 "data=$disk" "$part_of_cuts" & ;;
    esac
    pids="$pids $!"
done
failures=0
for pid in $pids; do
    wait "$pid" || failures=$((failures + 1))
done
for disk in $disks; do
    echo "$disk:"
    add_up "$disk.figures"
    head -n 20 "$disk.messages" >&2
done
[ "$failures" -eq 0 ] || fail "$failures file systems, with seed $seed"

faults='opens-unsynced syncs-nothing forgets-sync compacts-unsynced
    batches-in-pieces'
for disk in $disks; do
    case $disk in
    xfs) find_faults xfs xfs '' $faults ;;
    *) find_faults "$disk" ext4 "data=$disk" $faults ;;
    esac
    # The others in long runs only.
    [ "$cuts" -gt 1000 ] || break
done
