# SPDX-License-Identifier: MIT
#
# Sourced by the scripts here that mount file systems of their own. It starts
# the script anew in a mount namespace of its own, so that nothing else sees
# what is mounted, and it goes away with the namespace. A user who may not do
# that, as in most containers, skips the test with a reason. All that tests/cli
# has is there, too, and programs that keep stores open: KEPT_OPEN is one.

if [ "${KVSTORE_OWN_MOUNTS:-}" != yes ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo 'skipped: only root may mount'
        exit 77
    fi
    if ! unshare -m true 2>/dev/null; then
        echo 'skipped: there are no mount namespaces to be had'
        exit 77
    fi
    KVSTORE_OWN_MOUNTS=yes
    export KVSTORE_OWN_MOUNTS
    exec unshare -m sh "$0" "$@"
fi

. "$(dirname "$0")/../cli/support.sh"
: "${KEPT_OPEN:?the path of the program}"
need mount umount mktemp stat jq

# Runs before the scratch folder is removed.
before_clean_up() {
    exec 5>&- 7>&-
    cd /
    # Those that were mounted last come first.
    sed -n "s|^[^ ]* \($scratch/work/[^ ]*\) .*|\1|p" /proc/self/mounts |
        sed '1!G;h;$!d' |
        while read -r place; do
            umount "$place" || umount -l "$place" || :
        done
}

# mount_file NAME TYPE SIZE [OPTION...]: a file system of its own in ./NAME,
# made with the options of mkfs; or a reason not to try it, and status 1.
mount_file() {
    name=$1
    type=$2
    size=$3
    shift 3
    mkdir -p "$name"
    if [ "$type" = tmpfs ]; then
        mount -t tmpfs -o "size=$size" kvstore-test "$name" 2>/dev/null ||
            no_mount "no tmpfs can be mounted here"
        return
    fi
    command -v "mkfs.$type" >/dev/null || {
        no_mount "there is no mkfs.$type"
        return
    }
    truncate -s "$size" "$name.image"
    "mkfs.$type" -q "$@" "$name.image" >/dev/null 2>&1 || {
        no_mount "mkfs.$type fails"
        return
    }
    mount -t "$type" -o loop "$name.image" "$name" 2>/dev/null ||
        no_mount "no $type can be mounted from a file here"
}

no_mount() {
    echo "not tried: $1"
    return 1
}

# keep one|other always|none DIR...: opens stores, to be used by ask.
keep() {
    kept=$1
    shift
    [ -p "$scratch/$kept.in" ] || mkfifo "$scratch/$kept.in" "$scratch/$kept.out"
    # The script's own ends must not be open in the program: it ends when they
    # are closed. The first one is opened for both, and so waits for no reader.
    if [ "$kept" = one ]; then
        exec 5<>"$scratch/$kept.in"
    else
        exec 7<>"$scratch/$kept.in"
    fi
    "$KEPT_OPEN" "$@" <"$scratch/$kept.in" >"$scratch/$kept.out" 5>&- 7>&- &
    eval "pid_of_$kept=$!"
    if [ "$kept" = one ]; then
        exec 6<"$scratch/$kept.out"
    else
        exec 8<"$scratch/$kept.out"
    fi
    hear "$kept"
    [ "$answer" = ok ] || fail "cannot keep $* open: $answer"
}

# Reads the next answer, into $answer. A program that has died gives none.
hear() {
    answer=''
    if [ "$1" = one ]; then
        read -r answer <&6 || died "$1"
    else
        read -r answer <&8 || died "$1"
    fi
}

died() {
    eval "pid=\$pid_of_$1"
    status=0
    wait "$pid" || status=$?
    fail "the program that kept $1 open has died with status $status"
}

tell() {
    told=$1
    shift
    last_command="$told: $*"
    if [ "$told" = one ]; then
        echo "$*" >&5
    else
        echo "$*" >&7
    fi
}

# ask one|other WORD...: sends the words, and leaves the answer in $answer.
ask() {
    tell "$@"
    hear "$1"
}

# expect_answer ANSWER one|other WORD...
expect_answer() {
    wanted=$1
    shift
    ask "$@"
    [ "$answer" = "$wanted" ] || fail "'$answer', not '$wanted'"
}

# expect_no_space one|other WORD...
expect_no_space() {
    ask "$@"
    case $answer in
    failed*'No space left on device') ;;
    *) fail "'$answer', and not that there is no space" ;;
    esac
}

# release one|other: closes its stores, and ends it.
release() {
    eval "pid=\$pid_of_$1"
    if [ "$1" = one ]; then
        exec 5>&-
    else
        exec 7>&-
    fi
    wait "$pid" || fail "the program that kept $1 open ended with status $?"
    if [ "$1" = one ]; then
        exec 6<&-
    else
        exec 8<&-
    fi
}

inode_of() {
    stat -c %i "$1"
}
