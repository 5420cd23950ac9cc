# SPDX-License-Identifier: MIT
#
# get needs no lock.

. "$(dirname "$0")/support.sh"
need flock
kvstore set key value
exec 9<data
flock 9

expect_status 0 kvstore --timeout 0 get key
expect_stdout value
expect_stderr
expect_status 1 kvstore --timeout 0 get missing
