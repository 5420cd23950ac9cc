# SPDX-License-Identifier: MIT
#
# A line that was changed afterwards is neither served nor silently replaced by
# an older value: its key is status 6, every command warns, all else works.

. "$(dirname "$0")/support.sh"
kvstore set before 1
kvstore set broken old
kvstore set broken new
kvstore set after 2
offset=$(head -n 2 data/store.log | wc -c)
sed '3s/new/NEW/' data/store.log >changed
cat changed >data/store.log
warning="kvstore: warning: 1 damaged line in store.log, the first at offset \
$offset: a key may be older than its last write"

expect_status 6 kvstore get broken
expect_stdout
expect_stderr_match "^kvstore: cannot get 'broken' in './data': "
grep -qxF "$warning" "$scratch/capture/stderr" || fail 'there is no warning'
# Damage is never hidden.
expect_status 6 kvstore -q get broken
expect_stderr_match "^kvstore: cannot get 'broken' in './data': "
grep -qxF "$warning" "$scratch/capture/stderr" || fail 'quiet hides damage'

expect_status 0 kvstore get before
expect_stdout 1
expect_stderr "$warning"
expect_status 0 kvstore get --quiet after
expect_stdout 2
expect_stderr "$warning"
expect_status 0 kvstore set other 3
expect_stderr "$warning"
expect_status 0 kvstore rm other
expect_stderr "$warning"

# Setting the key anew makes it whole; the damaged line stays and is reported.
expect_status 0 kvstore -q set broken newest
expect_status 0 kvstore get broken
expect_stdout newest
expect_stderr "$warning"
