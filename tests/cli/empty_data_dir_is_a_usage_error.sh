# SPDX-License-Identifier: MIT
#
# An empty name, such as an unset shell variable gives, is no directory.

. "$(dirname "$0")/support.sh"

expect_status 2 kvstore --data-dir '' set key value
expect_stderr_match '^kvstore: --data-dir: '
expect_status 2 kvstore --data-dir= set key value
expect_status 2 kvstore set -d '' key value
expect_status 2 env KVSTORE_DATA_DIR=other "$KVSTORE" -d '' set key value
expect_stdout
expect_nothing_at data
expect_nothing_at other
