# SPDX-License-Identifier: MIT
#
# A value that cannot be printed is a failure; a command that prints nothing
# needs no standard output.

. "$(dirname "$0")/support.sh"
kvstore set key value

expect_status 3 shell '"$KVSTORE" get key >&-'
expect_stderr_match '^kvstore: cannot write standard output: '
expect_status 3 shell '"$KVSTORE" get --raw key >&-'
expect_status 3 shell '"$KVSTORE" --help >&-'
expect_status 3 shell '"$KVSTORE" --version >&-'
[ "$(wc -l <"$scratch/capture/stderr")" -eq 1 ] || fail 'it was told twice'

expect_status 0 shell '"$KVSTORE" set key new >&-'
expect_value key new
expect_status 1 shell '"$KVSTORE" get missing >&-'
expect_stderr 'kvstore: key not found: missing'
expect_status 0 shell '"$KVSTORE" rm key >&-'
expect_absent key
