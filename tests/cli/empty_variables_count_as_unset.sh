# SPDX-License-Identifier: MIT
#
# A variable that is set to nothing changes nothing.

. "$(dirname "$0")/support.sh"
export KVSTORE_DATA_DIR='' KVSTORE_SYNC='' KVSTORE_TIMEOUT=''

expect_status 0 kvstore set key value
expect_stderr
[ -f data/store.log ] || fail 'the store is not in ./data'
expect_value key value
