# SPDX-License-Identifier: MIT
#
# --raw adds no newline; without it there is exactly one.

. "$(dirname "$0")/support.sh"
kvstore set key value
printf 'value' >expected

for option in -r --raw; do
    expect_status 0 kvstore get "$option" key
    expect_stdout_of_file expected
    expect_stderr
done
expect_status 0 kvstore get key
expect_stdout value
