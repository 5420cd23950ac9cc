# SPDX-License-Identifier: MIT
#
# In a line of key and value, backslash, tab, newline, carriage return and NUL are
# escaped, and nothing else.

. "$(dirname "$0")/support.sh"
printf 'a\tb\nc\\d\re\000f\033\377\303\274' | kvstore set --stdin value
key=$(printf 'k\te\ny\\')
kvstore set "$key" 1

printf '%s\033\377\303\274\n' 'value	a\tb\nc\\d\re\x00f' >expected
expect_status 0 kvstore get -k value
expect_stdout_of_file expected
expect_status 0 kvstore get -k "$key"
expect_stdout 'k\te\ny\\	1'
expect_status 0 kvstore list --values k
expect_stdout 'k\te\ny\\	1'
