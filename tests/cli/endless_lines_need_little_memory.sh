# SPDX-License-Identifier: MIT
#
# Runs of NULs and lines without end take neither memory nor time, wherever they
# are: with 200 MB of addresses, every command works on a log of 3 GB of them.

. "$(dirname "$0")/support.sh"
mkdir data
(
    truncate -s 3G probe && [ "$(du -k probe | cut -f 1)" -lt 1000 ]
) || skip 'no holes here'
rm probe
big=$((3 * 1024 * 1024 * 1024))

bounded() {
    (
        ulimit -v 200000
        exec "$KVSTORE" "$@"
    )
}

bounded --version >version 2>&1 || skip 'a sanitizer needs more addresses'

# Line A, then something of 3 GB, then what is given, then nothing.
make_log() {
    rm -rf data
    mkdir data
    echo '{"Set":{"key":"a","val":"1"}}' >data/store.log
    printf '%s' "$1" >>data/store.log
    truncate -s "$big" data/store.log
    printf '%s' "$2" >>data/store.log
}

expect_is() {
    [ "$(bounded --quiet get "$1")" = "$2" ] || fail "$1 is not $2"
}

# When damage is in the middle, every command works; repair moves it aside.
check_damage() {
    expect_is a 1
    expect_is b 2
    expect_status 0 bounded --quiet set c 3
    expect_is c 3
    rm data/store.index
    expect_status 6 bounded verify
    [ "$(bounded --quiet list | grep -c '^[abc]$')" -eq 3 ] || fail 'not three keys'
    expect_status 0 bounded --quiet set a 2
    expect_status 0 bounded --quiet compact
    expect_is a 2
    expect_is b 2
    expect_status 0 bounded --quiet repair
    expect_status 0 bounded verify
    expect_is a 2
    [ "$(du -k data | cut -f 1)" -lt 100000 ] || fail 'holes were filled'
}

b='{"Set":{"key":"b","val":"2"}}'
newline='
'
make_log '' "$b$newline"
check_damage
make_log '' "$newline$b$newline"
check_damage
make_log 'x' "$newline$b$newline"
check_damage
make_log '{"Set":{"key":"k","val":"' "$newline$b$newline"
expect_status 6 bounded --quiet get k
check_damage
expect_status 1 bounded --quiet get k

# At the end it is an unfinished write, and the next set cuts it off.
for head in '' 'x' '{"Set":{"key":"k","val":"'; do
    make_log "$head" ''
    expect_is a 1
    expect_status 0 bounded --quiet set b 2
    expect_is a 1
    expect_is b 2
    expect_status 0 bounded verify
    [ "$(wc -l <data/store.log)" -eq 2 ] || fail 'not two lines'
done

# A growing index reads only the heads of such lines.
make_log '{"Set":{"key":"k","val":"' "$newline$b$newline"
expect_status 0 bounded --quiet set c 3
seq 3000 | sed 's/.*/{"Set":{"key":"&","val":"v"}}/' >>data/store.log
expect_status 0 bounded --quiet set d 4
expect_is 3000 v
expect_status 6 bounded --quiet get k
expect_status 0 bounded --quiet set k new
expect_is k new
rm -rf data

# Megabytes of pieces that each search for their end in vain.
mkdir data
echo '{"Set":{"key":"a","val":"1"}}' >data/store.log
head -c 4000000 /dev/zero | sed 's/\x00\x00\x00/x\x00{/g' >>data/store.log
printf '\n%s\n' "$b" >>data/store.log
check_damage
