# SPDX-License-Identifier: MIT
#
# What is no regular file in the place of store.index belongs to somebody else:
# reads and compaction work, and writes are refused until it is taken away.

. "$(dirname "$0")/support.sh"
kvstore set key value
kvstore set other value

try() {
    for command in 'get key' list stats verify; do
        # shellcheck disable=SC2086
        expect_status 0 kvstore $command
        expect_stderr
    done
    for command in 'set key new' 'rm key'; do
        # shellcheck disable=SC2086
        expect_status 3 kvstore $command
        expect_stderr_match 'store.index can neither be used nor replaced'
        expect_stderr_match 'take it away'
    done
    expect_status 0 kvstore get key
    expect_stdout value
}

rm data/store.index
mkdir data/store.index
try
expect_status 0 kvstore compact
try
[ -d data/store.index ] || fail 'the directory is gone'
rmdir data/store.index

mkfifo data/store.index
try
expect_status 0 kvstore compact
try
[ -p data/store.index ] || fail 'the FIFO is gone'
rm data/store.index

ln -s elsewhere data/store.index
try
expect_status 0 kvstore compact
try
[ -L data/store.index ] || fail 'the link is gone'
rm data/store.index

expect_status 0 kvstore set key new
expect_status 0 kvstore get key
expect_stdout new
