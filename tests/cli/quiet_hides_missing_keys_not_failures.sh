# SPDX-License-Identifier: MIT
#
# With --quiet the status still answers what is missing, a key or a store, and
# failures are still reported.

. "$(dirname "$0")/support.sh"
kvstore set key value

for option in -q --quiet; do
    expect_status 1 kvstore "$option" get missing
    expect_stdout
    expect_stderr
    expect_status 1 kvstore rm "$option" missing other
    expect_stdout
    expect_stderr
    expect_status 0 kvstore "$option" get key
    expect_stdout value
    expect_status 3 kvstore "$option" -d nowhere get key
    expect_stdout
    expect_stderr
    echo text >file
    expect_status 3 kvstore "$option" -d file get key
    expect_stderr "kvstore: cannot open 'file': it is not a directory"
    expect_status 2 kvstore "$option" get
    expect_stderr_match 'too few operands'
done
