# SPDX-License-Identifier: MIT
#
# VALUE, --stdin and --file exclude each other, and what is for input needs one.

. "$(dirname "$0")/support.sh"
echo text >file

expect_status 2 kvstore set --stdin key value </dev/null
expect_stderr 'kvstore: set: --stdin takes the place of VALUE' \
    "kvstore: try 'kvstore set --help'"
expect_status 2 kvstore set --file file key value
expect_stderr_match 'set: --file takes the place of VALUE'
expect_status 2 kvstore set --stdin --file file key </dev/null
expect_stderr_match 'set: --stdin and --file exclude each other'
for option in --chomp --allow-empty; do
    expect_status 2 kvstore set "$option" key value
    expect_stderr_match 'are for --stdin and --file'
done
expect_nothing_at data
