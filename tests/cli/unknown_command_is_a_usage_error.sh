# SPDX-License-Identifier: MIT
#
# A command that does not exist is a usage error, even an abbreviated one or one
# in capitals.

. "$(dirname "$0")/support.sh"

for command in sett se SET frobnicate '' - 'set '; do
    expect_status 2 kvstore "$command" key value
    expect_stdout
    expect_stderr_match "^kvstore: unknown command '$command'"
    expect_stderr_match "^kvstore: try 'kvstore --help'\$"
done
expect_status 2 kvstore -- -q
expect_stderr_match "unknown command '-q'"
expect_nothing_at data
