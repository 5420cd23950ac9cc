# SPDX-License-Identifier: MIT
#
# Sourced by every script here: what the scripts of tests/cli have, with the
# program for this machine as the function kvstore, and the program for another
# kind of machine as the function other.

: "${OTHER:?the command that runs the other program}"
cases=$(cd "$(dirname "$0")" && pwd)
. "$cases/../cli/support.sh"

other() {
    # It is a list of words if an emulator is needed.
    # shellcheck disable=SC2086
    $OTHER "$@"
}

# expect_same COMMAND...: in the directories here and there, this program and
# the other one print the same and have the same exit status.
expect_same() {
    last_command="kvstore and other $*"
    here_status=0
    there_status=0
    (cd here && kvstore "$@") >here.out 2>here.err || here_status=$?
    (cd there && other "$@") >there.out 2>there.err || there_status=$?
    [ "$here_status" -eq "$there_status" ] ||
        fail "status $here_status here, $there_status there"
    cmp here.out there.out || fail "other results there"
    cmp here.err there.err || fail "other messages there"
}

# Prints the first bytes of the index, in order.
index_tag() {
    od -A n -t x1 -N 8 data/store.index
}
