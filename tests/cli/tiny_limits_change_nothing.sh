# SPDX-License-Identifier: MIT
#
# With a limit on open files or on memory that is too small, a command fails, says
# so and has changed nothing; with the least that is enough it works.

. "$(dirname "$0")/support.sh"
need prlimit
mkdir whole
kvstore -d whole set key old
kvstore -d whole set key value
kvstore -d whole set other value
printf '%s\n' '{"key":"key","value":"new"}' '{"key":"a","value":"new"}' >records
refused=0
done=0

# try LIMIT COMMAND...: done, or refused with the store as it was. The loader's
# own failure is status 127.
try() {
    limit=$1
    shift
    rm -rf data copy
    cp -a whole data
    actual=0
    last_command="$*, with $limit"
    prlimit "$limit" -- "$KVSTORE" "$@" <records >"$scratch/capture/stdout" \
        2>"$scratch/capture/stderr" || actual=$?
    case $actual in
    0) done=$((done + 1)) ;;
    3 | 127)
        refused=$((refused + 1))
        [ "$actual" -eq 127 ] || expect_stderr_match '^kvstore: '
        cmp -s whole/store.log data/store.log || fail 'it has changed the log'
        ;;
    *) fail "status $actual" ;;
    esac
    expect_value other value
    expect_status 0 kvstore verify
    expect_status 0 kvstore set key later
    expect_value key later
}

# expect_both WHAT: there were limits that are enough, and such that are not.
expect_both() {
    [ "$done" -gt 0 ] && [ "$refused" -gt 0 ] ||
        fail "$1: $done times done, $refused times refused"
    echo "$1: $done times done, $refused times refused"
    refused=0
    done=0
}

for command in 'set key new' 'rm key' batch compact repair 'backup copy' export; do
    for files in 0 2 3 4 5 6 7 8 9 10 12; do
        # shellcheck disable=SC2086
        try "--nofile=$files:$files" $command
    done
done
expect_both 'open files'

# A sanitizer takes more addresses than any limit.
prlimit --as=100000000 -- "$KVSTORE" --version >version 2>&1 || exit 0
for command in 'set key new' batch compact; do
    bytes=2000000
    while [ "$bytes" -lt 8000000 ]; do
        # shellcheck disable=SC2086
        try "--as=$bytes:$bytes" $command
        bytes=$((bytes + 400000))
    done
    # shellcheck disable=SC2086
    try --as=50000000:50000000 $command
done
expect_both 'memory'
