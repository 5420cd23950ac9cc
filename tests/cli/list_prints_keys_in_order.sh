# SPDX-License-Identifier: MIT
#
# list prints the keys that are there, in the order of their bytes, or those
# that begin with a prefix, and ends them as requested.

. "$(dirname "$0")/support.sh"
for key in b ab gone a B 'user:2' 'user:1'; do
    kvstore set "$key" 1
done
kvstore set a again
kvstore rm gone

expect_status 0 kvstore list
expect_stdout B a ab b user:1 user:2
expect_stderr
expect_status 0 kvstore list user:
expect_stdout user:1 user:2
expect_status 0 kvstore list ''
expect_stdout B a ab b user:1 user:2
expect_status 0 kvstore list never
expect_stdout
expect_stderr
kvstore set -- '-0' 1
kvstore set "$(printf 'two\nlines')" 1
printf -- '-0\0' >expected
expect_status 0 kvstore list -0 -- -0
expect_stdout_of_file expected
printf 'two\nlines\0user:1\0user:2\0' >expected
expect_status 0 shell '{ "$0" list -0 two && "$0" list --null user; }' "$KVSTORE"
expect_stdout_of_file expected
expect_status 2 kvstore list a b
expect_status 2 kvstore list --json -0
expect_stderr_match '^kvstore: list: --json and --null exclude each other$'
