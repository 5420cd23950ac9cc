# SPDX-License-Identifier: MIT
#
# Where a parent ignores SIGPIPE, a broken pipe is a failed write like any
# other.

. "$(dirname "$0")/support.sh"
head -c 3000000 /dev/zero | tr '\0' v | kvstore set --stdin long

(
    trap '' PIPE
    got=0
    "$KVSTORE" get long 2>stderr || got=$?
    echo "$got" >status
) | head -c 1 >/dev/null

[ "$(cat status)" -eq 3 ] || fail "status $(cat status), not 3"
[ "$(cat stderr)" = 'kvstore: cannot write standard output: Broken pipe' ] ||
    fail "it said: $(cat stderr)"
