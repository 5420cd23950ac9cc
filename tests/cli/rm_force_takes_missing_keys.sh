# SPDX-License-Identifier: MIT
#
# With --force a missing key is as good as removed.

. "$(dirname "$0")/support.sh"

for option in -f --force; do
    kvstore set here 1
    expect_status 0 kvstore rm "$option" lost here gone
    expect_stdout
    expect_stderr
    expect_absent here
done

# But a missing store is not a missing key.
expect_status 3 kvstore -d nowhere rm -f key
expect_stderr "kvstore: no store in 'nowhere'"
