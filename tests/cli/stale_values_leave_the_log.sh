# SPDX-License-Identifier: MIT
#
# One key that is set again and again does not fill the disk.

. "$(dirname "$0")/support.sh"
head -c 300000 /dev/zero | tr '\0' v >large
kvstore set other value

for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    expect_status 0 kvstore --sync none set --stdin key <large
    expect_stdout
    expect_stderr
done

# 12 times 300 kB were written; 1 MiB of them may be stale, and one is live.
[ "$(wc -c <data/store.log)" -lt 1700000 ] || fail 'the log was not compacted'
expect_value other value
expect_status 0 kvstore get -r key
expect_stdout_of_file large
