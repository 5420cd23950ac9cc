# SPDX-License-Identifier: MIT
#
# Nobody is left waiting before a silent terminal.

. "$(dirname "$0")/support.sh"
need_terminal

expect_status 2 on_terminal '"$KVSTORE" set key'
expect_stdout 'kvstore: no VALUE, and standard input is a terminal'
expect_nothing_at data
