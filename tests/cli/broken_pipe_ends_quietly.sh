# SPDX-License-Identifier: MIT
#
# get | head dies of SIGPIPE without a word, as other commands do.

. "$(dirname "$0")/support.sh"
head -c 3000000 /dev/zero | tr '\0' v | kvstore set --stdin long

{
    got=0
    "$KVSTORE" get long 2>stderr || got=$?
    echo "$got" >status
} | head -c 1 >/dev/null

# 141: killed by SIGPIPE. The process that started this test may ignore it.
[ "$(cat status)" -ne 3 ] || skip 'SIGPIPE is ignored here'
[ "$(cat status)" -eq 141 ] || fail "status $(cat status), not 141"
[ ! -s stderr ] || fail "it said: $(cat stderr)"
