# SPDX-License-Identifier: MIT
#
# With --values each key is printed with its value, as get prints several keys. A
# value that cannot be read is named, and the others are printed.

. "$(dirname "$0")/support.sh"
kvstore set a:1 one
kvstore set a:2 ''
kvstore set b two

expect_status 0 kvstore list --values
expect_stdout "$(printf 'a:1\tone')" "$(printf 'a:2\t')" "$(printf 'b\ttwo')"
expect_status 0 kvstore list --values a:
expect_stdout "$(printf 'a:1\tone')" "$(printf 'a:2\t')"
printf 'a:1\0one\0a:2\0\0' >expected
expect_status 0 kvstore list --values -0 a:
expect_stdout_of_file expected
printf 'x\0' | kvstore set --stdin a:0
expect_status 3 kvstore list --values -0 a:
expect_stdout_of_file expected
expect_stderr 'kvstore: left out, since its value has a NUL byte: a:0'
kvstore rm a:0

sed -i 's/"one"/"One"/' data/store.log
expect_status 6 kvstore list --values
expect_stdout "$(printf 'a:2\t')" "$(printf 'b\ttwo')"
expect_stderr_match "^kvstore: cannot get 'a:1' in './data': "
