# SPDX-License-Identifier: MIT
#
# Without the right to write, get works and the rest is refused with a reason.

. "$(dirname "$0")/support.sh"
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program
kvstore set key value
chmod 755 data
chmod 644 data/store.log
mkdir closed
chmod 555 closed

# Permissions do not bind root.
as_stranger() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid 65534 --clear-groups "$@"
    else
        chmod 555 data
        chmod 444 data/store.log
        "$@"
    fi
}
before_clean_up() {
    chmod -R u+rwx . 2>/dev/null || :
}
[ "$(id -u)" -ne 0 ] || need setpriv
as_stranger ./program --version >/dev/null ||
    skip 'the program cannot be run as another user'

expect_status 0 as_stranger ./program get key
expect_stdout value
expect_stderr
expect_status 3 as_stranger ./program set key new
expect_stderr_match "^kvstore: .*'./data': .*Permission denied"
expect_status 3 as_stranger ./program rm key
expect_stderr_match "^kvstore: .*'./data': .*Permission denied"
expect_status 3 as_stranger ./program -d closed/store set key new
expect_stderr_match "^kvstore: .*'closed/store': .*Permission denied"
expect_status 0 kvstore get key
expect_stdout value
