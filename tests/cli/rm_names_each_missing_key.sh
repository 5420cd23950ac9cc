# SPDX-License-Identifier: MIT
#
# Missing keys are named, each on a line, and do not stop the others.

. "$(dirname "$0")/support.sh"
kvstore set here 1
kvstore set there 2

expect_status 1 kvstore rm lost here gone there
expect_stdout
expect_stderr 'kvstore: key not found: lost' 'kvstore: key not found: gone'
expect_absent here
expect_absent there

kvstore set here 1
expect_status 1 kvstore rm here here
expect_stderr 'kvstore: key not found: here'
