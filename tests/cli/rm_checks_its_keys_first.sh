# SPDX-License-Identifier: MIT
#
# One key that cannot be a key is a usage error, and no key is removed.

. "$(dirname "$0")/support.sh"
kvstore set here 1

expect_status 2 kvstore rm here ''
expect_stderr 'kvstore: the key is empty'
expect_value here 1
