# SPDX-License-Identifier: MIT
#
# On a terminal keys appear as values do: control characters and bytes that are
# no UTF-8 as \xNN. A pipe gets the bytes.

. "$(dirname "$0")/support.sh"
need_terminal
kvstore set "$(printf 'a\033[31m\377')" 1
kvstore set "$(printf 'b\302\233')" 1

expect_status 0 on_terminal '"$KVSTORE" list'
expect_stdout 'a\x1b[31m\xff' 'b\xc2\x9b'
expect_status 0 on_terminal '"$KVSTORE" list --json b'
expect_stdout '{"key":"b\xc2\x9b"}'
kvstore set "$(printf 'c\n\033')" "$(printf 'd\t\033\\')"
expect_status 0 on_terminal '"$KVSTORE" list --values c'
expect_stdout 'c\n\x1b	d\t\x1b\\'
kvstore rm "$(printf 'c\n\033')"
printf 'a\033[31m\377\nb\302\233\n' >expected
expect_status 0 kvstore list
expect_stdout_of_file expected
