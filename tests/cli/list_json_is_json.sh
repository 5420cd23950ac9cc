# SPDX-License-Identifier: MIT
#
# list --json prints an object a line, with --values also with the value; what is
# no text is in base64, as key64 and value64.

. "$(dirname "$0")/support.sh"
need jq
kvstore set "$(printf 'q"\\\n\033Zo\303\253')" 1
kvstore set "$(printf 'a\377b')" 1
echo '{"Set":{"key":"nul\u0000","val":"1"}}' >>data/store.log
printf '{"Set":{"key64":"%s","val":"1"}}\n' "$(printf 'z\376' | base64)" \
    >>data/store.log

expect_status 0 kvstore list --json
expect_stdout '{"key64":"Yf9i"}' '{"key64":"bnVsAA=="}' \
    "$(printf '{"key":"q\\"\\\\\\n\\u001bZo\303\253"}')" '{"key64":"ev4="}'
jq -e . "$scratch/capture/stdout" >jq-says || fail 'it is no JSON'

printf 'b\0' | kvstore set --stdin a
expect_status 0 kvstore list --json --values a
expect_stdout '{"key":"a","value64":"YgA="}' '{"key64":"Yf9i","value":"1"}'
