# SPDX-License-Identifier: MIT
#
# A user who may only read a store can list, count and verify it; compacting and
# repairing are refused with a reason.

. "$(dirname "$0")/support.sh"
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program
kvstore set key value
chmod 755 data
chmod 644 data/store.log

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

for index in shared none; do
    [ "$index" = shared ] || rm -f data/store.index
    expect_status 0 as_stranger ./program list
    expect_stdout key
    expect_stderr
    expect_status 0 as_stranger ./program verify
    expect_stdout
    expect_stderr
    expect_status 0 as_stranger ./program stats
    expect_stdout_match '^keys 1$'
done
for command in compact repair; do
    expect_status 3 as_stranger ./program "$command"
    expect_stderr_match "^kvstore: .*'./data': .*Permission denied"
done
