# SPDX-License-Identifier: MIT
#
# The directory is the option's, else KVSTORE_DATA_DIR, else ./data.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore set key default
expect_status 0 env KVSTORE_DATA_DIR=variable "$KVSTORE" set key variable
export KVSTORE_DATA_DIR=variable
expect_status 0 kvstore -d option set key option
unset KVSTORE_DATA_DIR

for dir in data variable option; do
    [ -f "$dir/store.log" ] || fail "no log in $dir"
done
expect_value key default
expect_status 0 env KVSTORE_DATA_DIR=variable "$KVSTORE" get key
expect_stdout variable
expect_status 0 env KVSTORE_DATA_DIR=option "$KVSTORE" get key
expect_stdout option
export KVSTORE_DATA_DIR=variable
expect_status 0 kvstore get --data-dir=option key
expect_stdout option
