# SPDX-License-Identifier: MIT
#
# A get that is ended by a signal while it writes to a file leaves neither a part
# of the file nor a temporary one, and dies of that signal.

. "$(dirname "$0")/support.sh"
mkdir out
head -c 60000000 /dev/zero | tr '\0' v >bytes
kvstore set -f bytes bytes
echo old >out/file

for signal in TERM HUP; do
    expected=143
    [ "$signal" = TERM ] || expected=129
    # Each prints the value several times, so that it takes a while.
    "$KVSTORE" get -k -o out/file bytes bytes bytes bytes bytes bytes &
    pid=$!
    while [ "$(ls out | wc -l)" -eq 1 ] && kill -0 "$pid" 2>/dev/null; do
        :
    done
    kill -s "$signal" "$pid" 2>/dev/null || skip 'it was over too soon'
    status=0
    wait "$pid" || status=$?
    [ "$status" -ne 0 ] || skip 'it was over too soon'
    [ "$status" -eq "$expected" ] || fail "status $status, not $expected"
    [ "$(ls -A out)" = file ] || fail "there is more: $(ls -A out)"
    [ "$(cat out/file)" = old ] || fail 'the file was changed'
done
