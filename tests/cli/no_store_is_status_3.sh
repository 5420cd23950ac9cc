# SPDX-License-Identifier: MIT
#
# Only set makes a store, and not with --no-create: a typo in the directory is not
# a missing key, and leaves nothing. The message has the full name of the
# directory, and says how to name another.

. "$(dirname "$0")/support.sh"
mkdir empty

for dir in absent absent/deeper empty; do
    for command in 'get key' 'rm key' 'set --no-create key value'; do
        expect_status 3 kvstore -d "$dir" $command
        expect_stdout
        expect_no_store "$dir"
    done
done
expect_status 3 kvstore get key
expect_no_store data
expect_nothing_at absent
expect_nothing_at data
[ -z "$(ls -A empty)" ] || fail 'something was made in the empty directory'
