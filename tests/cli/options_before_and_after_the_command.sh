# SPDX-License-Identifier: MIT
#
# A global option may be on either side of the command; the later one counts.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore --data-dir a set key in-a
expect_status 0 kvstore set --data-dir=b key in-b
for options in '-d a' '-da' '--data-dir a' '--data-dir=a'; do
    expect_status 0 kvstore $options get key
    expect_stdout in-a
    expect_status 0 kvstore get $options key
    expect_stdout in-a
done
expect_status 0 kvstore -d a get -d b key
expect_stdout in-b
expect_status 0 kvstore -d a -d b get key
expect_stdout in-b

# Clusters of letters, and values that look like other things.
expect_status 0 kvstore -qd a get -rd b key
printf in-b >expected
expect_stdout_of_file expected
expect_status 0 kvstore --timeout 1 --sync none -q set -d a --sync=always \
    --timeout=2 key new-in-a
expect_status 0 kvstore -d a get key
expect_stdout new-in-a
expect_nothing_at data
