# SPDX-License-Identifier: MIT
#
# --expires WHEN: a time from now, @SECONDS since 1970, never, or keep. What has
# expired is gone from every answer; a set without it takes an older expiry away.

. "$(dirname "$0")/support.sh"
need jq
expiry() {
    kvstore get --json "$1" | jq -r '.expires // "never"'
}

kvstore set --expires 1h long 1
expect_value long 1
kvstore set --expires 20ms short 1
sleep 0.1
expect_status 1 kvstore get short
expect_status 1 kvstore exists short
expect_status 1 kvstore rm short
expect_stderr 'kvstore: key not found: short'

kvstore set --expires @4102444800 key 1
expect_status 0 kvstore get --json key
expect_stdout '{"key":"key","value":"1","expires":4102444800000}'
kvstore set --expires keep key 2
[ "$(expiry key)" = 4102444800000 ] || fail 'the expiry was not kept'
kvstore set key 3
[ "$(expiry key)" = never ] || fail 'an older expiry is still there'
kvstore set --expires keep key 4
[ "$(expiry key)" = never ] || fail 'there is an expiry'
kvstore set --expires never key 5
[ "$(expiry key)" = never ] || fail 'there is an expiry'

now=$(date +%s)
kvstore set --expires 2h key 6
left=$(($(expiry key) / 1000 - now))
[ "$left" -ge 7200 ] && [ "$left" -le 7205 ] || fail "in $left seconds"

for when in '' 0 -1 @1 1y tomorrow Never @9007199254741 99999999w; do
    expect_status 2 kvstore set --expires "$when" key 7
    expect_stdout
    expect_stderr_match "--expires: '$when' is no time to come"
done
expect_value key 6

# expire changes when keys go, and nothing else.
kvstore set other x
expect_status 0 kvstore expire @4102444800 key other
expect_stdout
expect_stderr
[ "$(expiry key) $(expiry other)" = '4102444800000 4102444800000' ] ||
    fail 'not both have it'
expect_value key 6
expect_status 1 kvstore expire 1h lost key gone
expect_stderr 'kvstore: key not found: lost' 'kvstore: key not found: gone'
[ "$(expiry key)" != 4102444800000 ] || fail 'the others were not changed'
expect_status 0 kvstore expire --force never lost key
expect_stderr
[ "$(expiry key)" = never ] || fail 'it still expires'
expect_status 2 kvstore expire keep key
expect_stderr_match "expire: 'keep' would change nothing here"
expect_status 2 kvstore expire 0 key
expect_status 2 kvstore expire 1h
expect_status 0 kvstore expire 20ms other
sleep 0.1
expect_absent other
expect_status 3 kvstore -d nowhere expire 1h key
expect_nothing_at nowhere
