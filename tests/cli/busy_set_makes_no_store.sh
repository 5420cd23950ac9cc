# SPDX-License-Identifier: MIT
#
# The log is made under the writers' lock: a set that is refused as busy leaves
# nothing.

. "$(dirname "$0")/support.sh"
need flock
mkdir data
exec 9<data
flock 9

expect_status 5 kvstore --timeout 0 set key value
[ -z "$(ls data)" ] || fail 'something was made'

exec 9<&-
expect_status 0 kvstore set key value
expect_status 0 kvstore get key
expect_stdout value
