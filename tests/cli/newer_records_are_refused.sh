# SPDX-License-Identifier: MIT
#
# A store with records of a newer version can be read, but not written.

. "$(dirname "$0")/support.sh"
kvstore set key value
echo '{"Rename":{"key":"new","to":"other"}}' >>data/store.log
cp data/store.log before

expect_status 0 kvstore get key
expect_stdout value
expect_status 3 kvstore set key new
expect_stdout
expect_stderr_match 'newer version'
expect_status 3 kvstore rm key
expect_stderr_match 'newer version'
cmp before data/store.log || fail 'the log has changed'
