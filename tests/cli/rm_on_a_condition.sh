# SPDX-License-Identifier: MIT
#
# rm --if-value removes a key only if it has this value; else the status is 4, and
# nothing is said. With --force a key that is missing is no error.

. "$(dirname "$0")/support.sh"
kvstore set lock mine

expect_status 4 kvstore rm --if-value other lock
expect_status 4 kvstore rm --if-value min lock
expect_status 4 kvstore rm -f --if-value other lock
expect_stdout
expect_stderr
expect_value lock mine
expect_status 0 kvstore rm --if-value mine lock
expect_absent lock
expect_status 4 kvstore rm --if-value mine lock
expect_stderr
expect_status 0 kvstore rm --force --if-value mine lock
expect_status 0 kvstore -d nowhere rm --force --if-value mine lock
expect_nothing_at nowhere

# It is for one key.
expect_status 2 kvstore rm --if-value mine
expect_status 2 kvstore rm --if-value mine a b
expect_status 2 kvstore rm --force --if-value mine
expect_status 2 kvstore rm --if-value mine --all
