# SPDX-License-Identifier: MIT
#
# With descriptors closed, no message ends up in a file of the store.

. "$(dirname "$0")/support.sh"

expect_status 0 shell '"$KVSTORE" set key value <&- >&- 2>&-'
expect_status 1 shell '"$KVSTORE" rm missing other <&- >&- 2>&-'
expect_status 3 shell '"$KVSTORE" get key <&- >&- 2>&-'
expect_status 0 shell '"$KVSTORE" set second value 2>&-'
expect_status 2 shell '"$KVSTORE" get 2>&-'
[ "$(wc -l <data/store.log)" -eq 2 ] || fail 'the log has not two lines'
expect_value key value
expect_value second value
