# SPDX-License-Identifier: MIT
#
# What import cannot read is named by its line and left out: the first ten, and
# the rest is counted. The good records are kept, and the status is 7.

. "$(dirname "$0")/support.sh"

# bad LINE TEXT: this line is refused with these words.
bad() {
    printf '%s\n%s\n%s\n' '{"key":"a","value":"1"}' "$1" \
        '{"key":"b","value":"2"}' >lines
    rm -rf data
    expect_status 7 kvstore import lines
    expect_stdout
    expect_stderr "kvstore: line 2: $2" 'kvstore: 1 bad record was left out'
    expect_value a 1
    expect_value b 2
}

bad word 'it is no JSON object'
bad '{' 'an object does not end in its line: jq -c prints one a line'
bad '{"key": "a",' 'an object does not end in its line: jq -c prints one a line'
bad '[{"key":"a","value":"1"}]' \
    "it is an array: jq -c '.[]' prints its items one a line"
bad '{"key":"x","value":"1"}}' 'it is no JSON object'
bad '{"key":"x","value":01}' 'it is no JSON object'
bad '{"key":"x"}' 'there is no value'
no_key="there is no key: jq -c 'to_entries[]' makes records of an object's members"
bad '{"value":"x"}' "$no_key"
bad '{"key":"x","value":null}' 'the value is null'
bad '{"key":"x","value":"1","value64":"AA=="}' 'there is more than one value'
bad '{"key":"x","value":"1","val":"1"}' 'there is more than one value'
bad '{"key":"x","key":"x","value":"1"}' 'there is more than one key'
bad '{"key":1,"value":"1"}' 'the key is no string'
bad '{"key":"","value":"1"}' 'the key is empty'
bad '{"key":"x","value64":"AA="}' 'value64 is no padded base64'
bad '{"key":"x","value":"1","expires":"1h"}' \
    'expires is no time in milliseconds since 1970'
bad '{"key":"x","value":"1","expires":1.5}' \
    'expires is no time in milliseconds since 1970'
bad '{"key":"x","value":"1","expires":8014398509481000.5}' \
    'expires is no time in milliseconds since 1970'
bad '{"key":"x","value":"1","expires":4102444800000,"expires":null}' \
    'a member is there twice'
bad '{"Require":{"key":"x","absent":true}}' 'conditions are for batch'
bad '{"Newer":{"key":"x"}}' "$no_key"
bad "$(printf '{"key":"x","value":"\377"}')" \
    'it is not UTF-8: bytes that are no text go in base64, as value64'

# The first ten are named.
rm -rf data
{
    echo '{"key":"a","value":"1"}'
    seq 15
    echo '{"key":"b","value":"2"}'
} >lines
expect_status 7 kvstore -q import lines
[ "$(grep -c '^kvstore: line ' "$scratch/capture/stderr")" -eq 10 ] ||
    fail 'not ten are named'
expect_stderr_match '^kvstore: line 11: it is no JSON object$'
expect_stderr_match '^kvstore: 15 bad records were left out$'
expect_value b 2

# A failure says more than that.
expect_status 3 kvstore import missing
expect_stderr "kvstore: cannot read 'missing': No such file or directory"
expect_status 3 shell '"$KVSTORE" import <&-'
expect_status 3 kvstore import .
