# SPDX-License-Identifier: MIT
#
# --timeout and KVSTORE_TIMEOUT take a time with a unit, seconds without one,
# whatever the locale says.

. "$(dirname "$0")/support.sh"
kvstore set key value

for time in 0 0.0 0.5 .5 5. 007 1 0.0000001 200ms 1.5s 5m 2h 7d 1w 0.0001w \
    2147483 2147484 52w; do
    expect_status 0 kvstore --timeout "$time" set key "$time"
    expect_value key "$time"
    expect_status 0 env KVSTORE_TIMEOUT="$time" "$KVSTORE" set key "again $time"
    expect_value key "again $time"
done
for time in . -1 +1 -0 1e3 0x1 1,5 ' 1' '1 ' 1x 1S 1min 5ss inf nan 1.2.3 never \
    99999999999999999999999999; do
    expect_status 2 kvstore get --timeout "$time" key
    expect_stdout
    expect_stderr_match "^kvstore: --timeout: '$time' is no time such as 10, "
    expect_status 2 env KVSTORE_TIMEOUT="$time" "$KVSTORE" get key
    expect_stdout
    expect_stderr_match "^kvstore: KVSTORE_TIMEOUT: '$time' is no time such as "
done
# An option has a value, a variable that is empty is not there.
expect_status 2 kvstore --timeout '' get key
expect_status 0 env KVSTORE_TIMEOUT= "$KVSTORE" get key
expect_status 0 env LC_ALL=de_DE.UTF-8 "$KVSTORE" --timeout 0.5 set key value
