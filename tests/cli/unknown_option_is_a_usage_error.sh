# SPDX-License-Identifier: MIT
#
# An option that does not exist, or is another command's, is a usage error.

. "$(dirname "$0")/support.sh"

expect_status 2 kvstore --nonsense get key
expect_stdout
expect_stderr "kvstore: unknown option '--nonsense'" \
    "kvstore: try 'kvstore --help'"
expect_status 2 kvstore get --nonsense=1 key
expect_stderr "kvstore: unknown option '--nonsense'" \
    "kvstore: try 'kvstore get --help'"
expect_status 2 kvstore -x get key
expect_stderr_match "unknown option '-x'"
expect_status 2 kvstore -qx get key
expect_stderr_match "unknown option '-x'"
expect_status 2 kvstore get -qx key
expect_stderr_match "unknown option '-x'"

# --raw belongs to get, --force to rm, neither to the program.
expect_status 2 kvstore --raw rm key
expect_stderr_match "unknown option '--raw'"
expect_status 2 kvstore -f get key
expect_stderr_match "unknown option '-f'"
expect_status 2 kvstore set --raw key value
expect_stderr_match "unknown option '--raw'"
expect_status 2 kvstore get -f key
expect_stderr_match "unknown option '-f'"

# What is wrong is shown safely.
expect_status 2 kvstore "$(printf -- '--a\033[31m')" get key
expect_stderr_match "unknown option '--a.x1b\[31m'"
expect_nothing_at data
