# SPDX-License-Identifier: MIT
#
# With any of the three standard descriptors closed, together, no message ends up
# in a file of the store, and what needs none of them works.

. "$(dirname "$0")/support.sh"

for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' \
    '<&- >&- 2>&-'; do
    rm -rf data copy
    expect_status 0 shell "\"\$KVSTORE\" set key value $closed"
    expect_status 0 shell "\"\$KVSTORE\" set key newer $closed"
    expect_status 1 shell "\"\$KVSTORE\" rm missing $closed"
    wanted=0
    case $closed in
    *\>\&-*) [ "$closed" = '2>&-' ] || [ "$closed" = '<&- 2>&-' ] || wanted=3 ;;
    esac
    expect_status $wanted shell "\"\$KVSTORE\" get key $closed"
    printf 'torn' >>data/store.log
    expect_status 0 shell "\"\$KVSTORE\" set other value $closed"
    expect_status 0 shell "\"\$KVSTORE\" repair $closed"
    expect_status 0 shell "\"\$KVSTORE\" compact $closed"
    expect_status 0 shell "\"\$KVSTORE\" backup copy $closed"
    for log in data/store.log copy/store.log; do
        [ "$(grep -c '^{"Set":' $log)" -eq 2 ] || fail "$closed: $log"
        [ "$(wc -l <$log)" -eq 2 ] || fail "$closed: $log has other lines"
    done
    expect_value key newer
    expect_value other value
done
