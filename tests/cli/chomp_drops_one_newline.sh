# SPDX-License-Identifier: MIT
#
# --chomp leaves out one newline at the end of what is read, and nothing else.

. "$(dirname "$0")/support.sh"

# chomped BYTES VALUE, both in printf's form.
chomped() {
    # shellcheck disable=SC2059
    printf "$1" >bytes
    # shellcheck disable=SC2059
    printf "$2" >expected
    expect_status 0 kvstore set --stdin --chomp key <bytes
    expect_status 0 kvstore get --raw key
    expect_stdout_of_file expected
    expect_status 0 kvstore set --file bytes --chomp key
    expect_status 0 kvstore get --raw key
    expect_stdout_of_file expected
}

chomped 'line\n' 'line'
chomped 'line' 'line'
chomped 'two\n\n' 'two\n'
chomped 'dos\r\n' 'dos\r'
chomped '\n' ''
chomped 'a\nb' 'a\nb'
chomped 'a\0\n' 'a\0'
