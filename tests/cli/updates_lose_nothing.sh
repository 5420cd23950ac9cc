# SPDX-License-Identifier: MIT
#
# Of several updates at the same time none is lost: the command is run again if
# somebody else was faster. No lock is held while it runs.

. "$(dirname "$0")/support.sh"

for i in 1 2 3 4 5 6; do
    kvstore --timeout 60 update log sh -c "cat; echo line $i" &
done
wait
[ "$(kvstore get log | grep -c '^line')" -eq 6 ] || fail 'some are lost'

# Whoever is in the way of it writes meanwhile.
kvstore set counter 1
expect_status 0 kvstore update counter sh -c \
    '[ -e seen ] || { : >seen; '"'$KVSTORE'"' set counter 5; }
    read n; echo $((n + 1))'
expect_value counter 6

# If that goes on until the timeout, it gives up.
expect_status 5 kvstore --timeout 0 update counter sh -c \
    "'$KVSTORE' incr counter >/dev/null; echo late"
expect_stderr_match "^kvstore: cannot update 'counter' in './data': busy"
expect_value counter 7
