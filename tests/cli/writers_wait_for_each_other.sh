# SPDX-License-Identifier: MIT
#
# A lock that is released in time causes no failure.

. "$(dirname "$0")/support.sh"
need flock
kvstore set key old
(
    exec 9<data
    flock 9
    : >held
    sleep 0.5
) &
while [ ! -e held ]; do
    sleep 0.05
done

expect_status 0 kvstore --timeout 50 set key new
expect_stderr
expect_value key new
wait
