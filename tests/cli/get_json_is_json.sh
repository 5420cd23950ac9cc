# SPDX-License-Identifier: MIT
#
# get --json prints an object a line, with key and value; what is no text is in
# base64 as key64 and value64.

. "$(dirname "$0")/support.sh"
need jq
kvstore set text "$(printf 'q"\\\n\303\253')"
printf 'x\0\377' | kvstore set --stdin "$(printf 'k\377')"

expect_status 0 kvstore get --json text "$(printf 'k\377')"
expect_stdout "$(printf '{"key":"text","value":"q\\"\\\\\\n\303\253"}')" \
    '{"key64":"a/8=","value64":"eAD/"}'
jq -e . "$scratch/capture/stdout" >jq-says || fail 'it is no JSON'
expect_status 0 kvstore get --json text
expect_stdout_match '^{"key":"text","value":'
expect_status 2 kvstore get --json -0 text
expect_stderr_match 'get: --json and --null exclude each other'
expect_status 2 kvstore get --json --raw text
