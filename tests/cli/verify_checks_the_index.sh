# SPDX-License-Identifier: MIT
#
# An index whose slots are gone is distinguished from a damaged log, and cured
# by deleting it.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set b 2
dd if=/dev/zero of=data/store.index bs=4096 seek=1 count=1 conv=notrunc \
    2>/dev/null

expect_status 6 kvstore verify
expect_stdout_match 'at offset 0: sound, and store.index does not lead there, key a$'
expect_stdout_match '^store.index: as a whole it is not true to store.log$'
expect_stderr_match '^kvstore: store.index is a cache: delete it, and it is built anew$'
rm data/store.index
expect_status 0 kvstore verify
expect_stdout
expect_stderr
