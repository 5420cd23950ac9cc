# SPDX-License-Identifier: MIT
#
# repair of a store without damage changes no byte and says nothing.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set a 2
kvstore rm a
cp data/store.log copy
inode=$(ls -i data/store.log)

expect_status 0 kvstore repair
expect_stdout
expect_stderr
cmp -s copy data/store.log || fail 'the log has changed'
[ "$(ls -i data/store.log)" = "$inode" ] || fail 'it is another file'
[ "$(ls data | tr '\n' ' ')" = 'store.index store.log ' ] ||
    fail "there is something else: $(ls data)"
