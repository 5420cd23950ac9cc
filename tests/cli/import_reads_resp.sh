# SPDX-License-Identifier: MIT
#
# import --format resp reads what an append-only file of Redis holds of strings;
# everything else is named.

. "$(dirname "$0")/support.sh"
need jq
# say WORD...: a command of Redis.
say() {
    printf '*%d\r\n' $#
    for word in "$@"; do
        printf '$%d\r\n%s\r\n' "$(printf %s "$word" | wc -c)" "$word"
    done
}

{
    say SELECT 0
    printf '#TS:1700000000\r\n'
    say SET plain text
    say set 'two words' "$(printf 'line\r\nline')"
    say MULTI
    say MSET a 1 b 2 c 3
    say EXEC
    say SET at 1 PXAT 4102444800000
    say SET seconds 1 EXAT 4102444800
    say SET in 1 EX 100
    say SET kept 1 PXAT 4102444800000
    say SET kept 2 KEEPTTL
    say SETEX setex 100 v
    say PSETEX psetex 100000 v
    say SET later 1
    say PEXPIREAT later 4102444800000
    say SET stays 1 PX 100000
    say PERSIST stays
    say SET gone 1
    say PEXPIREAT gone 1000
    say SET past 1
    say SET past 2 PXAT 1000
    say DEL a lost
    say UNLINK b
    say PERSIST lost
} >file
expect_status 0 kvstore import --format resp file
expect_stderr
expect_value plain text
expect_value 'two words' "$(printf 'line\r\nline')"
for key in a b gone past; do
    expect_absent "$key"
done
expect_value c 3
for key in at seconds kept later; do
    [ "$(kvstore get --json "$key" | jq .expires)" = 4102444800000 ] ||
        fail "$key expires at another time"
done
expect_value kept 2
for key in in setex psetex; do
    kvstore get --json "$key" | grep -q expires || fail "$key does not expire"
done
! kvstore get --json stays | grep -q expires || fail 'stays expires'

# What is in the store already keeps or gets its expiry, too.
{
    say SET kept 3 KEEPTTL
    say PERSIST at
    say PEXPIREAT c 4102444800000
} >file
expect_status 0 kvstore import --format resp file
expect_status 0 kvstore get --json kept at c
expect_stdout '{"key":"kept","value":"3","expires":4102444800000}' \
    '{"key":"at","value":"1"}' \
    '{"key":"c","value":"3","expires":4102444800000}'

{
    say SET x 1
    say LPUSH list 1
    say SELECT 1
    say SET other 1
    say SELECT 0
    say SET x 2 NX
    say MSET a
    say SET y 2
} >file
expect_status 7 kvstore import --format resp file
expect_stderr \
    'kvstore: line 8: it is a command that keeps no key and value' \
    'kvstore: line 15: SELECT: only what is in database 0 is read' \
    'kvstore: line 20: it is of another database than 0' \
    'kvstore: line 32: SET has an option that a journal does not have' \
    'kvstore: line 41: MSET has a key without a value' \
    'kvstore: 5 bad records were left out'
expect_value y 2
expect_absent other

# After the end of a file that was cut, and after what is none, nothing is read.
{ say SET before 1; say SET cut 123; } | head -c -4 >file
expect_status 7 kvstore import --format resp file
expect_stderr_match '^kvstore: line 8: the input ends within a command$'
expect_value before 1
printf 'REDIS0011\n' >file
expect_status 7 kvstore import --format resp file
expect_stderr_match '^kvstore: line 1: it is no command as an append-only'
printf '*1\r\n$2147483640\r\nx' >file
expect_status 7 kvstore import --format resp file
