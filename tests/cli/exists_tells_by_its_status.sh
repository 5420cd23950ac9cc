# SPDX-License-Identifier: MIT
#
# exists is status 0 if all keys are there and 1 if not, and prints nothing.

. "$(dirname "$0")/support.sh"
kvstore set here 1
kvstore set there ''

expect_status 0 kvstore exists here
expect_status 0 kvstore exists here there here
expect_status 1 kvstore exists lost
expect_status 1 kvstore exists here lost
expect_stdout
expect_stderr

sed -i 's/"1"/"2"/' data/store.log
rm data/store.index
expect_status 6 kvstore exists lost here there
expect_stderr_match "^kvstore: cannot look for 'here' in './data': "
expect_status 3 kvstore -d nowhere exists here
expect_no_store nowhere
