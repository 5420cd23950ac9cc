# SPDX-License-Identifier: MIT
#
# A missing key is an answer of its own: status 1, and nothing on standard
# output.

. "$(dirname "$0")/support.sh"
kvstore set key value

expect_status 1 kvstore get missing
expect_stdout
expect_stderr 'kvstore: key not found: missing'
expect_status 1 kvstore get --raw missing
expect_stdout
expect_stderr 'kvstore: key not found: missing'
