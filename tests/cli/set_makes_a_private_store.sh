# SPDX-License-Identifier: MIT
#
# set makes the directory and those above it, for the owner alone.

. "$(dirname "$0")/support.sh"
umask 022

expect_status 0 kvstore -d a/b/c set key value
for dir in a a/b a/b/c; do
    [ "$(stat -c %a "$dir")" = 700 ] || fail "$dir is open to others"
done
[ "$(stat -c %a a/b/c/store.log)" = 600 ] || fail 'the log is open to others'
expect_status 0 kvstore --data-dir a/b/c/ get key
expect_stdout value
