# SPDX-License-Identifier: MIT
#
# With -0 each key and each value is followed by a NUL, and no byte is escaped. What
# has a NUL inside is named and left out, status 3.

. "$(dirname "$0")/support.sh"
kvstore set a "$(printf 'two\nlines\\')"
kvstore set b 2
printf 'x\0y' | kvstore set --stdin nul

printf 'a\0two\nlines\\\0' >expected
expect_status 0 kvstore get -0 a
expect_stdout_of_file expected
printf 'b\0002\0a\0two\nlines\\\0' >expected
expect_status 0 kvstore get --null b a
expect_stdout_of_file expected
expect_status 3 kvstore get -0 b nul a
expect_stdout_of_file expected
expect_stderr 'kvstore: left out, since its value has a NUL byte: nul'
