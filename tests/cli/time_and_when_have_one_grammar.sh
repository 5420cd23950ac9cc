# SPDX-License-Identifier: MIT
#
# A TIME is a decimal number with ms, s, m, h, d or w, seconds without a unit. A
# WHEN is a TIME from now on, @SECONDS since 1970, never or keep; zero and the
# past are refused. Here now is one second past 1970.

. "$(dirname "$0")/support.sh"
: "${PARSE_WHEN:?the program that reads times}"

expect_status 0 "$PARSE_WHEN" 10 0.5 .5 5. 200ms 1.5s 5m 2h 7d 1w
expect_stdout '10: 10000 ms, at 11000' '0.5: 500 ms, at 1500' \
    '.5: 500 ms, at 1500' '5.: 5000 ms, at 6000' '200ms: 200 ms, at 1200' \
    '1.5s: 1500 ms, at 2500' '5m: 300000 ms, at 301000' \
    '2h: 7200000 ms, at 7201000' '7d: 604800000 ms, at 604801000' \
    '1w: 604800000 ms, at 604801000'

# A moment is not a length of time, and neither is a word.
expect_status 0 "$PARSE_WHEN" @2 @2.5 never keep
expect_stdout '@2: no, at 2000' '@2.5: no, at 2500' 'never: no, never' \
    'keep: no, keep'

# No time from now, and moments that are over.
expect_status 0 "$PARSE_WHEN" 0 0ms 0.0w @0 @1
expect_stdout '0: 0 ms, no' '0ms: 0 ms, no' '0.0w: 0 ms, no' '@0: no, no' \
    '@1: no, no'

# What is smaller than a millisecond is one, so that it is not nothing.
expect_status 0 "$PARSE_WHEN" 0.0000000000001 0.1ms 1.0001ms
expect_stdout '0.0000000000001: 1 ms, at 1001' '0.1ms: 1 ms, at 1001' \
    '1.0001ms: 2 ms, at 1002'

for text in '' . m ms s . -1 +1 1e3 0x1 1,5 ' 1' '1 ' '1 s' 1S 1min 1y 1h30m \
    1.2.3 inf nan @ @-1 @2s @never Never NEVER forever; do
    expect_status 0 "$PARSE_WHEN" "$text"
    expect_stdout "$text: no, no"
done

# The largest that a file can hold, and one more.
expect_status 0 "$PARSE_WHEN" 9223372036854775807ms 9223372036854775808ms \
    9223372036854774807ms 9223372036854774808ms 99999999999999999999w
expect_stdout '9223372036854775807ms: 9223372036854775807 ms, no' \
    '9223372036854775808ms: no, no' \
    '9223372036854774807ms: 9223372036854774807 ms, at 9223372036854775807' \
    '9223372036854774808ms: 9223372036854774808 ms, no' \
    '99999999999999999999w: no, no'
