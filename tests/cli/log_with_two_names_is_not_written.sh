# SPDX-License-Identifier: MIT
#
# A log with two names is the log of two directories, each with a writers' lock
# of its own: it is read and not written, until it has one name again.

. "$(dirname "$0")/support.sh"
kvstore set key value
kvstore set key newer
cp -al data snapshot
cp data/store.log before

for store in data snapshot; do
    expect_status 0 kvstore -d $store get key
    expect_stdout newer
    expect_stderr
    for command in 'set key other' 'rm key' compact repair; do
        # shellcheck disable=SC2086
        expect_status 3 kvstore -d $store $command
        expect_stderr_match 'store.log has 2 names (hard links)'
        expect_stderr_match 'cp -a store.log copy && mv copy store.log'
    done
done
cmp before data/store.log || fail 'the log was written'

(cd snapshot && cp store.log copy && mv copy store.log)
expect_status 0 kvstore set key data
expect_status 0 kvstore -d snapshot set key snapshot
expect_status 0 kvstore get key
expect_stdout data
expect_status 0 kvstore -d snapshot get key
expect_stdout snapshot
expect_status 0 kvstore verify
expect_status 0 kvstore -d snapshot verify

# Another program's file that has the name, too, is not cut, whatever it holds.
mkdir trap
printf 'no line of a store' >theirs
ln theirs trap/store.log
expect_status 3 kvstore -d trap set key value
[ "$(cat theirs)" = 'no line of a store' ] || fail 'their file was changed'
