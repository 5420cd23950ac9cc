# SPDX-License-Identifier: MIT
#
# A directory in a message can neither command a terminal nor forge a line.

. "$(dirname "$0")/support.sh"

expect_status 3 kvstore -d "$(printf 'no\nwhere')" get key
expect_no_store 'no\x0awhere'
