# SPDX-License-Identifier: MIT
#
# What a killed writer left unfinished at the end of the log does no harm: it is
# not served, is not damage, and the next set carries on.

. "$(dirname "$0")/support.sh"
kvstore set key value
cp data/store.log whole

for tail in '{' '{"Set":{"key":"torn","val":"ne' '{"Remove":{"key":"key"'; do
    cp whole data/store.log
    printf '%s' "$tail" >>data/store.log
    expect_value key value
    expect_absent torn
    expect_stderr 'kvstore: key not found: torn'

    expect_status 0 kvstore set next 'after it'
    expect_stderr
    expect_value key value
    expect_value next 'after it'
    expect_absent torn
    [ "$(wc -l <data/store.log)" -eq 2 ] || fail 'the log has not two lines'
    if grep -q torn data/store.log; then
        fail 'the torn line is still there'
    fi
done
