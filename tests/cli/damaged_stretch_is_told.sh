# SPDX-License-Identifier: MIT
#
# Lines that are no records are counted; nothing after them is lost.

. "$(dirname "$0")/support.sh"
kvstore set before 1
size=$(wc -c <data/store.log)
{
    head -c 4096 /dev/zero
    echo
    echo 'no json'
} >>data/store.log
echo '{"Set":{"key":"after","val":"2"}}' >>data/store.log

warning="kvstore: warning: 2 damaged lines in store.log, the first at offset \
$size: a key may be older than its last write"
expect_status 0 kvstore get after
expect_stdout 2
expect_stderr "$warning"
expect_status 0 kvstore -q get before
expect_stdout 1
expect_stderr "$warning"
