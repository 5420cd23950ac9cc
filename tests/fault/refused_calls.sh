#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A kernel or a sandbox that does not let one program make a system call: each
# of them, with each errno. The program answers rightly, or says that it cannot
# and changes nothing; and the others go on with their index.

. "$(dirname "$0")/../cli/support.sh"
: "${REFUSE_CALL:?the path of the program}"
need stat

# No answer but these: done; failed, with a message.
refused() {
    status=0
    "$REFUSE_CALL" "$call" "$error" "$KVSTORE" "$@" \
        >"$scratch/capture/stdout" 2>"$scratch/capture/stderr" || status=$?
    last_command="with $call refused ($error): kvstore $*"
    case $status in
    0) ;;
    3) [ -s "$scratch/capture/stderr" ] || fail 'no word of why' ;;
    *) fail "status $status" ;;
    esac
}

# must_work: what this call is not needed for.
must_work() {
    refused "$@"
    [ "$status" -eq 0 ] || fail "status $status"
}

expect_unchanged() {
    [ "$(stat -c %i data/store.index)" = "$index" ] ||
        fail 'the index is another one'
    expect_status 0 kvstore get user
    expect_stdout "$1"
    expect_stderr
}

set -- fadvise fallocate fchmod fchown fcntl fdatasync fgetxattr flock fstatfs \
    fsync ftruncate getrandom ioctl lseek madvise name_to_handle_at prlimit \
    pwrite renameat statx unlinkat
kvstore set user Alice
kvstore set other Bob
index=$(stat -c %i data/store.index)
"$REFUSE_CALL" statx ENOSYS "$KVSTORE" get user >got || {
    [ $? -eq 77 ] && skip 'no call can be refused here'
}
tried=0
for call; do
    # Sanitizers need some of the calls themselves.
    "$REFUSE_CALL" "$call" EPERM "$KVSTORE" --version >got 2>&1 || continue
    for error in EACCES EINVAL ENOSYS EOPNOTSUPP EPERM; do
        case $call in
        lseek) refused get user ;;
        *) must_work get user ;;
        esac
        [ "$status" -ne 0 ] || expect_stdout Alice
        expect_unchanged Alice
        case $call in
        fcntl | fdatasync | flock | lseek | pwrite) refused set user Bob ;;
        *) must_work set user Bob ;;
        esac
        if [ "$status" -eq 0 ]; then
            expect_unchanged Bob
        else
            expect_unchanged Alice
        fi
        kvstore set user Alice
        refused compact
        index=$(stat -c %i data/store.index)
        expect_unchanged Alice
        rm -f data/store.log.compact data/store.index.*.tmp
        refused -d "new-$call-$error" set user Alice
        [ "$status" -ne 0 ] || expect_status 0 kvstore -d "new-$call-$error" get user
        tried=$((tried + 1))
    done
done
echo "$tried passed, 0 failed"

# --- No /proc

[ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null || exit 0
# A sanitizer cannot do without.
unshare -m sh -c 'mount -t tmpfs none /proc && "$0" --version' "$KVSTORE" \
    >got 2>&1 || exit 0
index=$(stat -c %i data/store.index)
last_command='without /proc'
unshare -m sh -eu -c '
    mount -t tmpfs none /proc
    [ "$("$0" get user)" = Alice ]
    "$0" set user Bob
    "$0" stats --json >stats' "$KVSTORE" || fail 'it fails'
expect_unchanged Bob
