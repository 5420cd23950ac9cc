# SPDX-License-Identifier: MIT
#
# A long compaction prints a line for each tenth where there is no terminal, and
# nothing with --quiet.

. "$(dirname "$0")/support.sh"
mkdir data
value=$(head -c 1000 /dev/zero | tr '\0' v)
yes "{\"Set\":{\"key\":\"user\",\"val\":\"$value\"}}" |
    head -n 150000 >data/store.log
kvstore get user >got
cp data/store.log copy

expect_status 0 kvstore compact
expect_stdout
for tenth in 1 2 3 4 5 6 7 8 9; do
    expect_stderr_match \
        "^kvstore: compacting:  ${tenth}[0-9] % of 154 MB, [0-9]* MB/s, [0-9]* s left\$"
done
[ "$(wc -l <"$scratch/capture/stderr")" -eq 9 ] || fail 'there are more lines'
[ "$(wc -l <data/store.log)" -eq 1 ] || fail 'it did not compact'

mv copy data/store.log
expect_status 0 kvstore --quiet compact
expect_stdout
expect_stderr
