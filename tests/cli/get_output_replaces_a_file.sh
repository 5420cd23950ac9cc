# SPDX-License-Identifier: MIT
#
# With -o a file gets what standard output would have got: all of it at once, or it
# is as it was.

. "$(dirname "$0")/support.sh"
kvstore set a 1
kvstore set b 2
head -c 3000000 /dev/urandom >bytes
kvstore set -f bytes bytes
umask 022

expect_status 0 kvstore get -o out a
expect_stdout
expect_stderr
[ "$(cat out)" = 1 ] || fail 'it is not the value'
[ "$(stat -c %a out)" = 644 ] || fail 'it is not as open as others'
chmod 600 out
expect_status 0 kvstore get --raw --output out bytes
cmp -s bytes out || fail 'it is not the value'
[ "$(stat -c %a out)" = 600 ] || fail 'it is more open than before'

# Nothing to print: nothing is replaced.
expect_status 1 kvstore get -o out lost
expect_status 1 kvstore get -o new lost
cmp -s bytes out || fail 'the file was changed'
expect_nothing_at new
# Something to print.
expect_status 1 kvstore get -o out a lost b
printf 'a\t1\nb\t2\n' | cmp -s - out || fail 'it is not the values'

# A link is followed, and what is no file is written as it is.
ln -s out link
expect_status 0 kvstore get -o link a
[ -L link ] || fail 'the link was replaced'
[ "$(cat out)" = 1 ] || fail 'the link was not followed'
expect_status 0 kvstore get -o /dev/null a
[ -c /dev/null ] || fail '/dev/null was replaced'

# The store's own files are not replaced.
ln -s data/store.log own
(cd data && : >store.log.cut-5)
for file in data/store.log data/store.index own ./data//store.log.cut-5 \
    data/store.log.compact; do
    expect_status 3 kvstore get -o $file a
    expect_stderr "kvstore: cannot write '$file': it is a file of this store"
    expect_status 3 kvstore export -o $file
done
rm own data/store.log.cut-5
expect_status 0 kvstore get -o store.log a
rm store.log
expect_value a 1

expect_status 3 kvstore get -o absent/out a
expect_stderr "kvstore: cannot write 'absent/out': No such file or directory"
expect_status 3 kvstore get -o . a
expect_stderr "kvstore: cannot write '.': Is a directory"
expect_status 3 shell 'ulimit -f 16; exec "$KVSTORE" get -o out bytes'
expect_stderr "kvstore: cannot write 'out': File too large"
[ "$(cat out)" = 1 ] || fail 'the file was changed'
[ "$(ls)" = "$(printf 'bytes\ndata\nlink\nout')" ] || fail "there is more: $(ls)"
