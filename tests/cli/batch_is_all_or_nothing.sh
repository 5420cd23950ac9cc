# SPDX-License-Identifier: MIT
#
# batch makes all of its changes or none, in one append. Its conditions are
# judged first; one that is not met is status 4, and silent.

. "$(dirname "$0")/support.sh"
batch() {
    expected=$1
    shift
    printf '%s\n' "$@" >lines
    expect_status "$expected" kvstore batch lines
    expect_stdout
}

batch 0 '{"key":"a","value":"1"}' '{"Set":{"key":"b","val":"2"}}' \
    '{"Remove":{"key":"lost"}}' '{"Require":{"key":"a","absent":true}}'
expect_value a 1
expect_value b 2
[ "$(grep -c '"batch":' data/store.log)" -eq 2 ] || fail 'it is no batch'
expect_status 0 shell 'printf "%s\0" c "$(printf "x\ny")" d "" |
    "$KVSTORE" batch -0'
expect_value c "$(printf 'x\ny')"
expect_value d ''
expect_status 0 shell 'printf "e\t5\\\\n\n" | "$KVSTORE" batch --format tsv -'
expect_status 0 kvstore get --raw e
printf '5\n' >expected
expect_stdout_of_file expected

cp data/store.log before
for condition in '"key":"a","absent":true' '"key":"lost","present":true' \
    '"key":"a","value":"2"' '"key":"lost","value":""' '"key":"a","value64":""'; do
    batch 4 '{"key":"a","value":"9"}' "{\"Require\":{$condition}}"
    expect_stderr
done
printf 'a\0009\0f\0009\0' >nuls
expect_status 4 kvstore batch --if-absent -0 nuls
cmp -s before data/store.log || fail 'something was written'
batch 0 '{"Require":{"key":"a","value":"1"}}' \
    '{"Require":{"key":"b","present":true}}' '{"Remove":{"key":"a"}}' \
    '{"key":"b","value":"3"}'
expect_absent a
expect_value b 3
expect_status 0 kvstore batch --if-absent - <<END
{"key":"g","value":"7"}
END
expect_value g 7

# A line that is wrong is named, and nothing is changed.
cp data/store.log before
for line in x '{"key":"a"}' '{"Require":{"key":"a"}}' \
    '{"Require":{"key":"a","absent":false}}' '{"Remove":{}}' \
    '{"Require":{"key":"a","absent":true,"value":"1"}}' \
    '{"key":"a","value":null}'; do
    batch 2 '{"key":"a","value":"1"}' "$line" '{"key":"c","value":"1"}'
    expect_stderr_match '^kvstore: line 2: .*; nothing was changed$'
done
cmp -s before data/store.log || fail 'something was written'
expect_status 2 shell 'printf "a\0b\0c\0" | "$KVSTORE" batch -0'
expect_stderr_match '^kvstore: record 2: '

# Where there is no store, one is made, unless a condition is not met.
expect_status 4 shell 'echo "{\"Require\":{\"key\":\"a\",\"present\":true}}" |
    "$KVSTORE" -d new batch'
expect_nothing_at new
expect_status 0 shell ': | "$KVSTORE" -d new batch'
expect_nothing_at new
expect_status 0 shell 'printf "%s\n" "{\"key\":\"k\",\"value\":\"v\"}" \
    "{\"Require\":{\"key\":\"k\",\"absent\":true}}" | "$KVSTORE" -d new batch'
expect_status 0 kvstore -d new get k
expect_stdout v
expect_status 3 kvstore batch missing-file
expect_stderr "kvstore: cannot read 'missing-file': No such file or directory"
