# SPDX-License-Identifier: MIT
#
# --raw bypasses the terminal's protection: the bytes, no newline.

. "$(dirname "$0")/support.sh"
need_terminal
printf 'a\033[31m\377b' >bytes
kvstore set --stdin key <bytes

expect_status 0 on_terminal '"$KVSTORE" get --raw key'
expect_stdout_of_file bytes
