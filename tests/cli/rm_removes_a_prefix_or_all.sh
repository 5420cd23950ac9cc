# SPDX-License-Identifier: MIT
#
# rm --prefix removes the keys that begin so, and --all all of them, in one
# append. An empty prefix is a mistake.

. "$(dirname "$0")/support.sh"
for key in a:1 a:2 b:1 ab; do
    kvstore set "$key" x
done
lines=$(wc -l <data/store.log)

expect_status 0 kvstore rm --prefix a:
expect_stdout
expect_stderr
expect_status 0 kvstore list
expect_stdout ab b:1
[ "$(tail -n "+$((lines + 1))" data/store.log | grep -c '"batch":')" -eq 2 ] ||
    fail 'it is no batch'
expect_status 0 kvstore rm --prefix nothing:
expect_stderr
expect_status 2 kvstore rm --prefix ''
expect_stderr_match '^kvstore: rm: the prefix is empty: --all removes all keys$'
expect_status 2 kvstore rm --all key
expect_status 2 kvstore rm --prefix a --all
expect_status 0 kvstore list --count
expect_stdout 2
expect_status 0 kvstore rm --all
expect_status 0 kvstore list
expect_stdout
expect_status 0 kvstore rm --all
expect_status 3 kvstore -d nowhere rm --all
expect_status 0 kvstore -d nowhere rm --force --all
expect_nothing_at nowhere
