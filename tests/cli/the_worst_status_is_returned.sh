# SPDX-License-Identifier: MIT
#
# Where several statuses apply, the first of 3, 5, 6, 4, 1 is returned; what can be
# printed is printed.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set broken value
printf 'x\0y' | kvstore set --stdin nul
sed -i 's/"value"/"Value"/' data/store.log
rm data/store.index

expect_status 1 kvstore get lost a
expect_status 6 kvstore get lost broken a
expect_stdout "$(printf 'a\t1')"
expect_stderr_match '^kvstore: key not found: lost$'
expect_stderr_match "^kvstore: cannot get 'broken' in './data': "
expect_status 6 kvstore get broken lost a
expect_status 3 kvstore get -0 lost broken nul
expect_stdout
expect_status 3 kvstore get -0 nul broken lost a
printf 'a\0001\0' >expected
expect_stdout_of_file expected
