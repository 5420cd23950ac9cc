# SPDX-License-Identifier: MIT
#
# Sourced by every script here: a fresh directory to work in, the program as the
# function kvstore, and expectations that fail loudly. A script ends with status
# 0 (the promise holds), 1 (it does not) or 77 (it cannot be tried here). Needs
# only sh, coreutils, grep, sed, awk and util-linux.

set -eu

: "${KVSTORE:?the path of the program}"
case $KVSTORE in
/*) ;;
*) KVSTORE=$PWD/$KVSTORE ;;
esac
unset KVSTORE_DATA_DIR KVSTORE_SYNC KVSTORE_TIMEOUT

scratch=$(mktemp -d "${TMPDIR:-/tmp}/kvstore-cli.XXXXXX")
trap 'clean_up $?' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$scratch/work" "$scratch/capture"
cd "$scratch/work"
last_command='nothing'

# A script that has to undo more than files redefines this.
before_clean_up() {
    :
}

clean_up() {
    trap - EXIT
    before_clean_up
    cd /
    rm -rf "$scratch"
    exit "$1"
}

kvstore() {
    "$KVSTORE" "$@"
}

fail() {
    {
        echo "FAILED: $1"
        echo "after: $last_command"
        for stream in stdout stderr; do
            echo "--- its $stream:"
            head -c 2000 "$scratch/capture/$stream" 2>/dev/null || :
        done
        echo '---'
    } >&2
    exit 1
}

skip() {
    echo "skipped: $1"
    exit 77
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "there is no $tool"
    done
}

# expect_status STATUS COMMAND...: runs the command and keeps its output.
expect_status() {
    expected=$1
    shift
    last_command=$*
    actual=0
    "$@" >"$scratch/capture/stdout" 2>"$scratch/capture/stderr" || actual=$?
    [ "$actual" -eq "$expected" ] || fail "status $actual, not $expected"
}

# The streams of that command hold exactly these lines; no line: nothing.
expect_stdout() {
    expect_lines stdout "$@"
}

expect_stderr() {
    expect_lines stderr "$@"
}

expect_lines() {
    stream=$1
    shift
    if [ $# -eq 0 ]; then
        : >"$scratch/capture/expected"
    else
        printf '%s\n' "$@" >"$scratch/capture/expected"
    fi
    cmp -s "$scratch/capture/expected" "$scratch/capture/$stream" ||
        fail "$stream is not: $*"
}

# The streams hold exactly the bytes of this file.
expect_stdout_of_file() {
    cmp -s "$1" "$scratch/capture/stdout" || fail "stdout is not that of $1"
}

# A line on standard error matches this basic regular expression, and every line
# says which program it is from.
expect_stderr_match() {
    grep -q -e "$1" "$scratch/capture/stderr" || fail "no '$1' on stderr"
    if grep -v '^kvstore: ' "$scratch/capture/stderr" >&2; then
        fail 'a line on stderr does not begin with kvstore:'
    fi
}

# Standard error says that there is no store in this directory, by its full
# name, and how to name another.
expect_no_store() {
    case $1 in
    /*) full=$1 ;;
    *) full=$(pwd -P)/$1 ;;
    esac
    expect_stderr "kvstore: no store in '$full'; -d DIR or KVSTORE_DATA_DIR \
names another"
}

expect_stdout_match() {
    grep -q -e "$1" "$scratch/capture/stdout" || fail "no '$1' on stdout"
}

expect_value() {
    expect_status 0 kvstore get "$1"
    expect_stdout "$2"
    expect_stderr
}

expect_absent() {
    expect_status 1 kvstore get "$1"
    expect_stdout
}

expect_nothing_at() {
    [ ! -e "$1" ] || fail "there is now a $1"
}

# Runs a shell command as the command of expect_status.
shell() {
    sh -c "$@"
}

# need_terminal: skips the test where no terminal can be made, as in a chroot
# without /dev/pts.
need_terminal() {
    need script stty
    script -qec true /dev/null </dev/null >/dev/null 2>&1 ||
        skip "no terminal can be made"
}

# on_terminal COMMAND: runs the shell command with a terminal for its three
# streams, which changes no byte.
on_terminal() {
    [ -p "$scratch/keyboard" ] || mkfifo "$scratch/keyboard"
    # Opened for both, the pipe never ends, so no end-of-file is echoed.
    script -qec "stty -opost -echo; $1" /dev/null \
        <>"$scratch/keyboard"
}
