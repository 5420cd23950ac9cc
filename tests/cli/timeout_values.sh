# SPDX-License-Identifier: MIT
#
# --timeout takes a decimal number of seconds, whatever the locale says.

. "$(dirname "$0")/support.sh"
kvstore set key value

for seconds in 0 0.0 0.5 .5 5. 007 1 0.0000001 2147483 2147483.000; do
    expect_status 0 kvstore --timeout "$seconds" set key "$seconds"
    expect_value key "$seconds"
done
for seconds in '' . -1 +1 -0 1e3 0x1 1,5 ' 1' '1 ' 1s inf nan 1.2.3 2147484 \
    2147483.0001 99999999999999999999999999; do
    expect_status 2 kvstore get --timeout "$seconds" key
    expect_stdout
    expect_stderr "kvstore: --timeout: '$seconds' is not a number of seconds \
from 0 to 2147483" \
        "kvstore: try 'kvstore get --help'"
done
expect_status 0 env LC_ALL=de_DE.UTF-8 "$KVSTORE" --timeout 0.5 set key value
