# SPDX-License-Identifier: MIT
#
# --count prints how many keys there are in the range.

. "$(dirname "$0")/support.sh"
for key in a a:1 a:2 b; do
    kvstore set "$key" 1
done

for words in '4' '3 a' '2 a:' '0 never' '1 --from b' '2 --limit 2' '3 --reverse a'; do
    # shellcheck disable=SC2086
    expect_status 0 kvstore list --count ${words#?}
    expect_stdout "${words%% *}"
    expect_stderr
done
for option in --json -0 --values; do
    expect_status 2 kvstore list --count "$option"
    expect_stderr_match 'list: --[a-z]* and --[a-z]* exclude each other'
done

# What others call count is suggested.
expect_status 2 kvstore count
expect_stderr_match "did you mean 'list --count'?"
