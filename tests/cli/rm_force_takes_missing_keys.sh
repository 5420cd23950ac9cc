# SPDX-License-Identifier: MIT
#
# With --force what is missing is as good as removed.

. "$(dirname "$0")/support.sh"

for option in -f --force; do
    kvstore set here 1
    expect_status 0 kvstore rm "$option" lost here gone
    expect_stdout
    expect_stderr
    expect_absent here
done

# Neither a missing store nor a missing operand is an error.
expect_status 0 kvstore -d nowhere rm -f key
expect_stdout
expect_stderr
expect_nothing_at nowhere
for dir in data nowhere; do
    expect_status 0 kvstore -d "$dir" rm -f
    expect_stdout
    expect_stderr
done
expect_status 2 kvstore rm
expect_stderr_match '^kvstore: rm: too few operands: it takes KEY'

# But a store that cannot be opened, or a key that can be none, is one.
expect_status 3 kvstore -d data/store.log rm -f key
expect_status 2 kvstore rm -f ''
