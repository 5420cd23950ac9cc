# SPDX-License-Identifier: MIT
#
# --default is printed for what is missing, also where there is no store, but not
# for what is damaged.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore get --default 8080 port
expect_stdout 8080
expect_stderr
expect_nothing_at data
kvstore set port 9090
kvstore set broken value
expect_status 0 kvstore get --default 8080 port
expect_stdout 9090
expect_status 0 kvstore get --default '' host
expect_stdout ''
expect_status 0 kvstore get --default --raw host
expect_stdout --raw
expect_status 0 kvstore get --default none port host
expect_stdout "$(printf 'port\t9090')" "$(printf 'host\tnone')"
expect_status 0 kvstore get --json --default none host
expect_stdout '{"key":"host","value":"none"}'

sed -i 's/"value"/"Value"/' data/store.log
rm data/store.index
expect_status 6 kvstore get --default x broken
expect_stdout
mv data/store.log elsewhere
expect_status 3 kvstore get --default x port
expect_stdout
