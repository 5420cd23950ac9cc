# SPDX-License-Identifier: MIT
#
# compact leaves the live lines, byte for byte, and says nothing.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set b 1
kvstore set a 2
kvstore rm b
grep '"a","val":"2"' data/store.log >live

expect_status 0 kvstore compact
expect_stdout
expect_stderr
cmp -s live data/store.log || fail 'the log is not the live lines'
expect_value a 2
expect_absent b
expect_status 0 kvstore compact
[ "$(ls data | tr '\n' ' ')" = 'store.index store.log ' ] ||
    fail "there is something else: $(ls data)"
