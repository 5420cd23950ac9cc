# SPDX-License-Identifier: MIT
#
# cron and service managers provide hardly any environment.

. "$(dirname "$0")/support.sh"

expect_status 0 env -i "$KVSTORE" set key value
expect_stderr
expect_status 0 env -i "$KVSTORE" get key
expect_stdout value
expect_status 1 env -i "$KVSTORE" get missing
expect_stderr 'kvstore: key not found: missing'
expect_status 3 env -i "$KVSTORE" -d nowhere get key
