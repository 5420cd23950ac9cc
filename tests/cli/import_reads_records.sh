# SPDX-License-Identifier: MIT
#
# import reads an object a line, with key and value, and lines of a log. A value
# that is no string is stored as the JSON text that stands there.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore import <<'END'
{"key":"plain","value":"text"}
{"value":"other order","more":[1,{"key":2}],"key":"order"}

  { "key" : "space" , "value" : "x" }
{"key":"number","value":12345678901234567.10}
{"key":"object","value":{"c": [2, "}\""]} }
{"key":"true","value":true}
{"key":"empty","value":""}
{"key":"escapes","value":"a\tb\u0041\"\u00e9\ud83d\ude00"}
{"key64":"AP8=","value64":"AAE="}
{"key":"val","val":"1"}
{"key":"val64","val64":"AA=="}
{"key":"dated","value":"1","expires":4102444800000}
{"key":"never","value":"1","expires":null}
{"key":"past","value":"1","expires":1}
{"Set":{"key":"log","val":"1"}}
{"Set":{"key":"gone","val":"1"}}
{"Remove":{"key":"gone"}}
{"key":"last line","value":"no newline"}
END
expect_stdout
expect_stderr
expect_value plain text
expect_value order 'other order'
expect_value space x
expect_value number 12345678901234567.10
expect_value object '{"c": [2, "}\""]}'
expect_value true true
expect_value empty ''
expect_value escapes "$(printf 'a\tbA"\303\251\360\237\230\200')"
expect_status 0 kvstore get --json val val64 dated never
expect_stdout '{"key":"val","value":"1"}' '{"key":"val64","value64":"AA=="}' \
    '{"key":"dated","value":"1","expires":4102444800000}' \
    '{"key":"never","value":"1"}'
expect_absent past
expect_value log 1
expect_absent gone
expect_value 'last line' 'no newline'

printf ' \t{"key":"space","value":"y"} \t\n' | kvstore import
expect_value space y

# Of a line of a log, what means nothing there is passed over.
printf '%s\n' '{"Set":{"key":"log","val":"2","value64":"!","x":1}}' \
    '{"value":null,"Set":{"key":"gone","val":"1"},"expires":"x","val":1}' \
    '{"Remove":{"key":"gone","expires":"soon","val64":"!","value":5}}' >lines
expect_status 0 kvstore import lines
expect_value log 2
expect_absent gone

# A mark of the byte order, CR LF, and a last line without a newline.
printf '\357\273\277{"key":"mark","value":"1"}\r\n{"key":"cut","value":"2"}' |
    kvstore import -
expect_value mark 1
expect_value cut 2

# The store's own log, with its sums; of one key, the last line counts.
mkdir other
kvstore set plain newer
cp data/store.log other.log
expect_status 0 kvstore -d other import other.log
expect_status 0 kvstore -d other get plain
expect_stdout newer
sed 's/newer/NEWER/' other.log >changed.log
expect_status 7 kvstore -d other import changed.log
expect_stderr_match '^kvstore: line [0-9]*: its sum does not fit$'

# Without a record no store is made.
expect_status 0 kvstore -d none import /dev/null
expect_nothing_at none
