# SPDX-License-Identifier: MIT
#
# What export prints, import reads back to the same keys, values and expiries, in
# every format that has them, in key order.

. "$(dirname "$0")/support.sh"
need jq
printf 'tab\tnew\nback\\slash\r"\001\177' >odd
kvstore set --file odd "$(cat odd)"
kvstore set empty ''
kvstore set --expires @4102444800 dated 1
printf '\303\251\360\237\230\200' | kvstore set --stdin "$(printf '\303\251')"

expect_status 0 kvstore export
cp "$scratch/capture/stdout" wanted
sed 's/.*"key":\("[^"]*"\).*/\1/' wanted >keys
LC_ALL=C sort -c keys || fail 'not in key order'
jq -s -e 'from_entries | .dated == "1" and .empty == ""' wanted >/dev/null ||
    fail 'jq cannot make an object of it'

# Bytes that are no text, and NUL, too, but not where a NUL ends a value.
printf 'a\0b' | kvstore set --stdin nul
printf '\377\0' | kvstore set --stdin "$(printf 'bytes\377')"
kvstore export >wanted
for format in ndjson log tsv resp; do
    expect_status 0 kvstore export --format $format
    expect_stderr
    kvstore -d "of-$format" import --format $format "$scratch/capture/stdout"
    kvstore -d "of-$format" export >found
    if [ $format = tsv ]; then
        sed 's/,"expires":[0-9]*//' wanted | diff - found >&2 || fail $format
    else
        diff wanted found >&2 || fail $format
    fi
done
# The lines of a log have sums, and open as they are.
mkdir log
kvstore export --format log >log/store.log
expect_status 0 kvstore -d log verify
grep -vc '"sum":"' log/store.log >&2 && fail 'a line has no sum'

expect_status 3 kvstore export -0
cp "$scratch/capture/stdout" pairs
expect_stderr 'kvstore: left out, since its value has a NUL byte: bytes\xff' \
    'kvstore: left out, since its value has a NUL byte: nul'
expect_status 0 kvstore -d of-nul import -0 pairs
expect_status 0 kvstore -d of-nul list --count
expect_stdout 4

expect_status 0 kvstore export da
expect_stdout '{"key":"dated","value":"1","expires":4102444800000}'
expect_status 0 kvstore export -o file da
expect_stdout
grep -q dated file || fail 'not in the file'
expect_status 0 kvstore export --format resp da
printf '*5\r\n$3\r\nSET\r\n$5\r\ndated\r\n$1\r\n1\r\n$4\r\nPXAT\r\n$13\r\n4102444800000\r\n' \
    >expected
expect_stdout_of_file expected
expect_status 3 kvstore -d nowhere export
expect_no_store nowhere
expect_status 2 kvstore export --format xml
expect_stderr_match "'xml' is neither ndjson, log, tsv nor resp"
expect_status 3 shell '"$KVSTORE" export >/dev/full'

# One that is damaged is named, and the others are printed.
sed -i 's/"dated","val":"1"/"dated","val":"2"/' data/store.log
rm data/store.index
expect_status 6 kvstore export
expect_stderr_match "^kvstore: cannot get 'dated' in './data': "
[ "$(wc -l <"$scratch/capture/stdout")" -eq 5 ] || fail 'not five others'
