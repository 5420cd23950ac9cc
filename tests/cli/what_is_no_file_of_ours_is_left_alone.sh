# SPDX-License-Identifier: MIT
#
# Whatever is in the place of a file of the store: each command answers at once,
# a failure is told, what the thing leads to stays as it is, and the store works
# again when the thing is gone. One table of what is answered.

. "$(dirname "$0")/support.sh"
need mkfifo timeout stat

# The columns: the status of get, set, verify, repair and compact; whether the
# thing is still there after the compaction, which takes away what has the name
# of its unfinished file if that is not in use; the kind; and the place.
cat >table <<'END'
3 3 3 3 3 stays link store.log
3 3 3 3 3 stays fifo store.log
3 3 3 3 3 stays directory store.log
3 3 3 3 3 stays device store.log
1 3 0 3 3 stays hard store.log
0 3 0 0 0 stays link store.index
0 3 0 0 0 stays fifo store.index
0 3 0 0 0 stays directory store.index
0 3 0 0 0 stays device store.index
0 0 0 0 0 stays hard store.index
0 0 0 0 0 goes link store.log.compact
0 0 0 0 0 goes fifo store.log.compact
0 0 0 0 3 stays directory store.log.compact
0 0 0 0 0 goes device store.log.compact
0 0 0 0 0 goes hard store.log.compact
0 0 0 0 0 stays link store.index.abcdefgh.tmp
0 0 0 0 0 stays fifo store.index.abcdefgh.tmp
0 0 0 0 0 stays directory store.index.abcdefgh.tmp
0 0 0 0 0 stays device store.index.abcdefgh.tmp
0 0 0 0 0 stays link store.log.cut-CUT
0 0 0 0 0 stays fifo store.log.cut-CUT
0 0 0 0 0 stays directory store.log.cut-CUT
0 0 0 0 0 stays hard store.log.cut-CUT
3 3 3 3 3 stays fifo .
3 3 3 3 3 stays device .
3 3 3 3 3 stays hard .
END

# put KIND PLACE: all that it leads to is in victim.
put() {
    case $1 in
    link) ln -s "$PWD/victim/file" "$2" ;;
    hard) ln victim/file "$2" ;;
    fifo) mkfifo "$2" ;;
    directory) mkdir "$2" && echo theirs >"$2/inside" ;;
    device) mknod "$2" c 1 3 2>/dev/null && [ -c "$2" ] ;;
    esac
}

# All that can be told of the victim, but for the times of its inode, which a
# name more or less changes.
describe() {
    stat -c '%n %i %f %u %g %s %Y' victim/file
    cat victim/file
    ls -A victim
    [ ! -d "$1" ] || [ "$1" = data ] || cat "$1/inside"
}

# A store whose last line is torn by something that is not its own, which the
# next writer saves.
mkdir whole
kvstore -d whole set key value
cut=$(stat -c %s whole/store.log)
printf '{"torn"\r' >>whole/store.log
trials=0

# try STATUS WORD...: runs the command on a store with that thing in it.
try() {
    wanted=$1
    shift
    rm -rf data victim aside
    mkdir victim
    echo 'not of a store' >victim/file
    cp -a whole data
    if [ "$place" = . ]; then
        rm -r data
        target=data
    else
        target=data/$(echo "$place" | sed "s/CUT/$cut/")
        rm -f "$target"
    fi
    put "$kind" "$target" || return 0
    describe "$target" >before
    expect_status "$wanted" timeout 60 "$KVSTORE" -d data "$@"
    last_command="$last_command, a $kind as $place"
    if [ "$wanted" -ge 3 ]; then
        expect_stderr_match '^kvstore: cannot '
    fi
    if [ "$1" = compact ] && [ "$stays" = goes ]; then
        [ ! -e "$target" ] && [ ! -L "$target" ] || fail 'it is still there'
    else
        [ -e "$target" ] || [ -L "$target" ] || fail 'it is gone'
    fi
    describe "$target" >after
    cmp -s before after || fail "it has changed: $(diff before after)"
    trials=$((trials + 1))
}

while read -r get set verify repair compact stays kind place; do
    try "$get" get key
    try "$set" set key new
    try "$verify" verify
    try "$repair" repair
    try "$compact" compact
    # It is taken away, after a write that was perhaps refused.
    rm -rf "$target"
    if [ "$place" = . ] || [ "$place" = store.log ]; then
        rm -rf data
        cp -a whole data
    fi
    expect_status 0 kvstore set other newer
    expect_value key value
    expect_value other newer
done <table
echo "$trials trials"
