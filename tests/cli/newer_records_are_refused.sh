# SPDX-License-Identifier: MIT
#
# A store with records of a newer version can be read, but not written.

. "$(dirname "$0")/support.sh"
kvstore set key value
echo '{"Rename":{"key":"new","to":"other","sum":"7d27ebd5"}}' >>data/store.log
cp data/store.log before

expect_status 0 kvstore get key
expect_stdout value
expect_status 3 kvstore set key new
expect_stdout
expect_stderr_match 'newer version.* record Rename at offset 53: '
expect_status 3 kvstore rm key
expect_stderr_match 'newer version'
expect_status 6 kvstore verify
expect_stdout 'store.log: 55 bytes at offset 53: of a newer version, key new'
expect_stderr "kvstore: './data' has 1 record of a newer version: it can only be read"
cmp before data/store.log || fail 'the log has changed'

# Without a sum that fits, it is a person's error.
echo '{"set":{"key":"new","val":"mistyped"}}' >data/store.log
expect_status 0 kvstore set key value
expect_status 0 kvstore get key
expect_stdout value
expect_status 6 kvstore verify
