# SPDX-License-Identifier: MIT
#
# Only set makes a store: a typo in the directory is not a missing key, and
# leaves nothing.

. "$(dirname "$0")/support.sh"
mkdir empty

for dir in absent absent/deeper empty; do
    for command in 'get key' 'rm key' 'rm -f key'; do
        expect_status 3 kvstore -d "$dir" $command
        expect_stdout
        expect_stderr "kvstore: no store in '$dir'"
    done
done
expect_status 3 kvstore get key
expect_stderr "kvstore: no store in './data'"
expect_nothing_at absent
expect_nothing_at data
[ -z "$(ls -A empty)" ] || fail 'something was made in the empty directory'
