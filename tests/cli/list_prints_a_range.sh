# SPDX-License-Identifier: MIT
#
# --from is in the range and --to is not, in the order of bytes; --reverse begins
# with the last key; --limit ends it.

. "$(dirname "$0")/support.sh"
for key in B a ab b c d:1 d:2 e; do
    kvstore set "$key" 1
done

# listed OPTIONS KEYS: both are words.
listed() {
    # shellcheck disable=SC2086
    expect_status 0 kvstore list $1
    # shellcheck disable=SC2086
    expect_stdout $2
    expect_stderr
}

listed '--from ab' 'ab b c d:1 d:2 e'
listed '--from aa' 'ab b c d:1 d:2 e'
listed '--to ab' 'B a'
listed '--to b' 'B a ab'
listed '--from a --to c' 'a ab b'
listed '--from c --to a' ''
listed '--from d:2 d:' 'd:2'
listed '--to d:2 d:' 'd:1'
listed '--from= --to=b' 'B a ab'
listed --reverse 'e d:2 d:1 c b ab a B'
listed '--reverse d:' 'd:2 d:1'
listed '--reverse --from ab --to d:2' 'd:1 c b ab'
listed '--limit 2' 'B a'
listed '--limit 2 --reverse' 'e d:2'
listed '--limit 1 --reverse d:' 'd:2'
listed '--limit 0' ''
listed '--limit 18446744073709551615 a' 'a ab'
for limit in '' x -1 1k 1.5 18446744073709551616; do
    expect_status 2 kvstore list --limit "$limit"
    expect_stderr_match "^kvstore: --limit: '$limit' is no whole number"
done
