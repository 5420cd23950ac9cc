# SPDX-License-Identifier: MIT
#
# Several keys are printed in the order asked for, each in a line with its key; a
# missing one is named, the others are printed, status 1.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set b 2

expect_status 0 kvstore get b a b
expect_stdout "$(printf 'b\t2')" "$(printf 'a\t1')" "$(printf 'b\t2')"
expect_stderr
expect_status 0 kvstore get -k a
expect_stdout "$(printf 'a\t1')"
expect_status 0 kvstore get --with-keys a
expect_stdout "$(printf 'a\t1')"

expect_status 1 kvstore get a lost b gone
expect_stdout "$(printf 'a\t1')" "$(printf 'b\t2')"
expect_stderr 'kvstore: key not found: lost' 'kvstore: key not found: gone'
expect_status 1 kvstore -q get a lost b
expect_stdout "$(printf 'a\t1')" "$(printf 'b\t2')"
expect_stderr

# An option behind a key is a key; the message says where options go.
expect_status 1 kvstore get a --raw
expect_stdout "$(printf 'a\t1')"
expect_stderr 'kvstore: key not found: --raw (options go in front of KEY)'
expect_status 1 kvstore get -- --raw
expect_stderr 'kvstore: key not found: --raw'

# The bytes of several values would run into each other.
expect_status 2 kvstore get --raw a b
expect_stderr_match '^kvstore: get: --raw is for one KEY'
expect_status 2 kvstore get --raw --with-keys a
expect_stderr_match 'get: --raw and --with-keys exclude each other'
expect_status 2 kvstore get a ''
expect_stdout
