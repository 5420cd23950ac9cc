# SPDX-License-Identifier: MIT
#
# backup DIR writes a store that is compact and whole; a directory that holds one
# already is refused.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set a 2
kvstore set --expires @4102444800 b 3
mkdir empty

expect_status 0 kvstore backup copy
expect_stdout
expect_stderr
kvstore -d copy export >found
kvstore export | diff - found >&2 || fail 'not the same'
expect_status 0 kvstore -d copy verify
[ "$(wc -l <copy/store.log)" -eq 2 ] || fail 'it is not compact'
expect_status 0 kvstore backup empty
expect_status 0 kvstore -d empty get a
expect_stdout 2

cp copy/store.log before
kvstore set a 4
expect_status 3 kvstore backup copy
expect_stderr "kvstore: cannot back up './data' to 'copy': there is a store \
already"
expect_status 3 kvstore backup data
cmp -s before copy/store.log || fail 'it was written'
: >file
expect_status 3 kvstore backup file
expect_stderr_match "^kvstore: cannot back up './data' to 'file': "
expect_status 2 kvstore backup ''
expect_status 2 kvstore backup
expect_status 3 kvstore -d nowhere backup other
expect_nothing_at other

# While others write, it is one moment: what was set together is there together.
(
    for i in $(seq 100); do
        printf 'x\0%s\0y\0%s\0' "$i" "$i" | kvstore batch -0
    done
) &
for i in 1 2 3; do
    kvstore backup "moment$i"
    [ "$(kvstore -d "moment$i" get --default none x)" = \
        "$(kvstore -d "moment$i" get --default none y)" ] || fail 'two moments'
done
wait
