# SPDX-License-Identifier: MIT
#
# So can a directory not.

. "$(dirname "$0")/support.sh"

expect_status 3 kvstore -d "$(printf 'no\nwhere')" get key
expect_stderr "kvstore: no store in 'no\\x0awhere'"
