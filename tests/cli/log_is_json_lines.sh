# SPDX-License-Identifier: MIT
#
# Every line of the log is JSON that jq reads, with keys and values as they are.

. "$(dirname "$0")/support.sh"
need jq
kvstore set user Alice
kvstore set 'Zoë "☃"' "$(printf 'tab\there, newline\nhere')"
printf '\377\0' | kvstore set --stdin binary
kvstore rm user

jq -c . data/store.log >parsed || fail 'jq does not read the log'
[ "$(wc -l <parsed)" -eq 4 ] || fail 'the log has not four records'
[ "$(head -n 1 parsed | jq -r .Set.val)" = Alice ] || fail 'no Alice'
[ "$(sed -n 2p parsed | jq -r .Set.key)" = 'Zoë "☃"' ] || fail 'no Zoë'
[ "$(sed -n 2p parsed | jq -r .Set.val)" = \
    "$(printf 'tab\there, newline\nhere')" ] || fail 'no text'
[ "$(sed -n 3p parsed | jq -r .Set.val64)" = /wA= ] || fail 'no base64'
[ "$(sed -n 4p parsed | jq -r .Remove.key)" = user ] || fail 'no remove'
