# SPDX-License-Identifier: MIT
#
# watch prints the changes of all processes as they come, a line each, flushed;
# --since start prints all keys first.

. "$(dirname "$0")/support.sh"
kvstore set a:1 x
kvstore set b:1 y

# wait_for N FILE: until it has as many lines.
wait_for() {
    tries=0
    until [ "$(wc -l <"$2")" -ge "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "$2 has $(wc -l <"$2") lines, not $1"
        sleep 0.1
    done
}

expect_status 0 kvstore watch --since start --limit 2
expect_stdout reset "$(printf 'set\ta:1\tx')" "$(printf 'set\tb:1\ty')"
expect_stderr
expect_status 0 kvstore watch --since start --limit 1 --json b
expect_stdout '{"event":"reset"}' '{"event":"set","key":"b:1","value":"y"}'
expect_status 0 kvstore watch --limit 0
expect_stdout

# A key that has expired is none of all keys.
kvstore set --expires 10ms e:1 brief
sleep 0.1
kvstore set e:2 there
expect_status 0 kvstore watch --since start --limit 1 e:
expect_stdout reset "$(printf 'set\te:2\tthere')"

# News only, without --since: nothing of before.
kvstore watch --limit 1 t: >news &
plain=$!
until [ -s news ]; do
    kvstore set t:x 1
    sleep 0.05
done
wait $plain || fail 'it failed'
[ "$(cat news)" = "$(printf 'set\tt:x\t1')" ] || fail "news: $(cat news)"

kvstore watch --since start --limit 6 a: >lines &
plain=$!
kvstore watch --json --since start a: >objects &
objects=$!
wait_for 3 objects
wait_for 3 lines
kvstore set b:2 hidden
kvstore set --expires @4102444800 a:2 "$(printf 'tab\there')"
wait_for 4 lines
kvstore rm a:1
kvstore set --expires 1h a:3 short
printf '\377' | kvstore set -i a:4
wait_for 7 objects
kvstore compact
kvstore mv a:2 a:5
wait $plain || fail 'it failed'
wait_for 9 objects
kill $objects
wait $objects || :
printf 'set\ta:2\ttab\\there\nrm\ta:1\nset\ta:3\tshort\nset\ta:4\t\377\n' \
    >expected
sed -n 4,7p lines | cmp -s expected - || fail "lines: $(cat lines)"
[ "$(wc -l <lines)" -eq 8 ] || fail 'not eight'
sed 's/"expires":[0-35-9][0-9]*/"expires":soon/; s/"expires":1[0-9]*/"expires":soon/' \
    objects >found
cat >expected <<'END'
{"event":"reset"}
{"event":"set","key":"a:1","value":"x"}
{"event":"current"}
{"event":"set","key":"a:2","value":"tab\there","expires":4102444800000}
{"event":"rm","key":"a:1"}
{"event":"set","key":"a:3","value":"short","expires":soon}
{"event":"set","key":"a:4","value64":"/w=="}
END
head -n 7 found | diff expected - >&2 || fail 'the objects are others'
tail -n 2 found | grep -q '{"event":"rm","key":"a:2"}' || fail 'a:2 is not gone'

# Whoever reads no more ends it, also if nothing changes.
expect_status 0 timeout 20 sh -c '"$KVSTORE" watch --since start | head -n 1'
expect_stdout reset
expect_stderr

expect_status 3 kvstore -d nowhere watch
expect_no_store nowhere
expect_status 2 kvstore watch --since 1h
expect_status 2 kvstore watch --format tsv
expect_status 2 kvstore watch --json --format resp
expect_status 3 shell '"$KVSTORE" watch --since start --limit 1 >/dev/full'
expect_status 3 shell '"$KVSTORE" watch --since start --limit 1 >&-'
