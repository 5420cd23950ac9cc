# SPDX-License-Identifier: MIT
#
# A store that may not be read is not mistaken for a missing one.

. "$(dirname "$0")/support.sh"
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program
kvstore set key value

as_stranger() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid 65534 --clear-groups "$@"
    else
        chmod 000 data
        "$@"
    fi
}
before_clean_up() {
    chmod -R u+rwx . 2>/dev/null || :
}
[ "$(id -u)" -ne 0 ] || need setpriv
as_stranger ./program --version >/dev/null ||
    skip 'the program cannot be run as another user'

for command in 'get key' 'rm key' 'set key value'; do
    expect_status 3 as_stranger ./program $command
    expect_stdout
    expect_stderr_match "^kvstore: cannot open './data': .*Permission denied"
done
