# SPDX-License-Identifier: MIT
#
# What did not reach a full disk was not printed, whether short or long.

. "$(dirname "$0")/support.sh"
[ -c /dev/full ] || skip 'there is no /dev/full'
kvstore set short value
head -c 1000000 /dev/zero | tr '\0' v | kvstore set --stdin long
kvstore set empty ''

for command in 'get short' 'get -r short' 'get long' 'get -r long' \
    'get empty' --help 'rm --help' -V; do
    expect_status 3 shell "\"\$KVSTORE\" $command >/dev/full"
    expect_stderr \
        'kvstore: cannot write standard output: No space left on device'
done

# What was counted is counted, and said to be.
expect_status 3 shell '"$KVSTORE" incr hits >/dev/full'
expect_stderr 'kvstore: cannot write standard output: No space left on device' \
    "kvstore: 'hits' in './data' was added to all the same"
expect_value hits 1

printf '%s\n' 'what is this' '{"Set":{"key":"d","val":"4"}}' >>data/store.log
expect_status 6 kvstore verify
expect_status 3 shell '"$KVSTORE" verify >/dev/full'
expect_status 3 shell '"$KVSTORE" verify >&-'

expect_status 0 shell '"$KVSTORE" get -r empty >/dev/full'
expect_status 0 shell '"$KVSTORE" set key value >/dev/full'
