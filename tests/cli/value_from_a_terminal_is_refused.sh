# SPDX-License-Identifier: MIT
#
# No user is left waiting in front of a silent terminal.

. "$(dirname "$0")/support.sh"
need_terminal

expect_status 2 on_terminal '"$KVSTORE" set key'
expect_stdout 'kvstore: no VALUE, and standard input is a terminal'
expect_nothing_at data
