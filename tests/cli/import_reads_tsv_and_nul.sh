# SPDX-License-Identifier: MIT
#
# import --format tsv reads lines of key, tab and value with their escapes, and
# import -0 exact bytes, a NUL after each.

. "$(dirname "$0")/support.sh"

printf '%s\t%s\n' Bern Switzerland 'a\tb' 'x\\y\n\x00\xFf\r' >lines
printf 'windows\tline\r\n\nutf\t\303\251\n\377\t\n' >>lines
expect_status 0 kvstore import --format tsv lines
expect_stderr
expect_value Bern Switzerland
expect_value windows line
expect_status 0 kvstore get --raw "$(printf 'a\tb')"
printf 'x\\y\n\0\377\r' >expected
expect_stdout_of_file expected
expect_value "$(printf '\377')" ''

for line in 'no tab' '\tempty key' 'key\ta\\q' 'key\ta\\' 'key\ta\\x0' \
    'key\ta\\xg0' 'key\ttwo\ttabs'; do
    printf "$line\n" >bad
    expect_status 7 kvstore -d other import --format tsv bad
    expect_stderr_match '^kvstore: line 1: '
    expect_nothing_at other
done

printf 'key\ttwo\ttabs\nkey\ta\\q\n' >bad
expect_status 7 kvstore -d other import --format tsv bad
expect_stderr 'kvstore: line 1: there is a second tab: one in a value is \t' \
    'kvstore: line 2: a backslash is none of \\ \t \n \r \xNN' \
    'kvstore: 2 bad records were left out'

# A byte order mark is no part of the first key, unless it was printed as one.
printf '\357\273\277first\t1\n\357\273\277second\t2\n' >lines
expect_status 0 kvstore -d marks import --format tsv lines
expect_status 0 kvstore -d marks rm first
expect_status 0 kvstore -d marks export --format tsv
expect_stdout '\xef\xbb\xbfsecond	2'
cp "$scratch/capture/stdout" lines
expect_status 0 kvstore -d again import --format tsv lines
expect_status 0 kvstore -d again get "$(printf '\357\273\277second')"
expect_stdout 2

printf 'k 1\0v\n\0k 2\0\0' >pairs
expect_status 0 kvstore import -0 pairs
expect_status 0 kvstore get -0 'k 1' 'k 2'
expect_stdout_of_file pairs
printf 'a\0001\0b\0002' >pairs
expect_status 7 kvstore import -0 pairs
expect_stderr 'kvstore: record 2: the input ends before the NUL after its value' \
    'kvstore: 1 bad record was left out'
expect_value a 1
printf '\0001\0c\0003\0' >pairs
expect_status 7 kvstore import -0 pairs
expect_stderr_match '^kvstore: record 1: the key is empty$'
expect_value c 3
