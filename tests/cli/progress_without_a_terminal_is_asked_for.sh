# SPDX-License-Identifier: MIT
#
# Where there is no terminal, as under cron, success is quiet: a long compaction
# prints a line for each tenth with --progress alone, and not with --quiet.

. "$(dirname "$0")/support.sh"
mkdir data
value=$(head -c 1000 /dev/zero | tr '\0' v)
yes "{\"Set\":{\"key\":\"user\",\"val\":\"$value\"}}" |
    head -n 150000 >data/store.log
kvstore get user >got
cp data/store.log copy

expect_status 0 kvstore compact --progress
expect_stdout
for tenth in 1 2 3 4 5 6 7 8 9; do
    expect_stderr_match \
        "^kvstore: compacting:  ${tenth}[0-9] % of 154 MB, [0-9]* MB/s, [0-9]* s left\$"
done
[ "$(wc -l <"$scratch/capture/stderr")" -eq 9 ] || fail 'there are more lines'
[ "$(wc -l <data/store.log)" -eq 1 ] || fail 'it did not compact'

for options in '' --quiet '--quiet --progress'; do
    cp copy data/store.log
    # shellcheck disable=SC2086
    expect_status 0 kvstore $options compact
    expect_stdout
    expect_stderr
    [ "$(wc -l <data/store.log)" -eq 1 ] || fail 'it did not compact'
done
