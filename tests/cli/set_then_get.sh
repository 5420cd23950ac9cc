# SPDX-License-Identifier: MIT
#
# What was set is what another process gets; the newest value counts.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore set user Alice
expect_stdout
expect_stderr
expect_value user Alice
expect_status 0 kvstore set user 'Bob  and "Eve" \n'
expect_value user 'Bob  and "Eve" \n'
expect_status 0 kvstore set 'a key with spaces' 'Zoë ☃ 😀'
expect_value 'a key with spaces' 'Zoë ☃ 😀'
expect_value user 'Bob  and "Eve" \n'

# Only the whole key is the key.
expect_absent use
expect_absent users
expect_absent User
