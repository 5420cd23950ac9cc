# SPDX-License-Identifier: MIT
#
# An index without its log shows that the log was moved away. No empty log takes
# its place, and no command acts as if there had never been a store.

. "$(dirname "$0")/support.sh"
kvstore set key value
mv data/store.log elsewhere

for command in 'set key other' 'get key' 'rm key' 'rm -f key' list stats \
    compact verify repair; do
    # shellcheck disable=SC2086
    expect_status 3 kvstore $command
    expect_stdout
    expect_stderr_match 'store.log is gone, and store.index is there: '
    expect_stderr_match 'bring the log back, or delete store.index'
done
[ "$(ls data)" = store.index ] || fail 'something was made'

cp data/store.index index
mv elsewhere data/store.log
expect_status 0 kvstore get key
expect_stdout value
rm data/store.log
expect_status 3 kvstore set key other
rm data/store.index
expect_status 0 kvstore set key new
expect_status 0 kvstore get key
expect_stdout new
