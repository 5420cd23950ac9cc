# SPDX-License-Identifier: MIT
#
# update changes a value by a command, which reads what get prints, and whose
# output becomes the value without one newline at its end. If the command fails,
# nothing has changed.

. "$(dirname "$0")/support.sh"

# Absent: empty input.
expect_status 0 kvstore update text sh -c 'wc -c; echo more'
expect_stdout
expect_stderr
expect_value text "$(printf '0\nmore')"
expect_status 0 kvstore update text -- tail -n 1
expect_value text more
printf 'more\n' >expected
expect_status 0 kvstore update text tee copy
cmp -s expected copy || fail 'it did not read what get prints'

# Exact both ways.
printf 'a\0b\n\n' >bytes
kvstore set --file bytes raw
expect_status 0 kvstore update --raw raw cat
expect_status 0 kvstore get --raw raw
expect_stdout_of_file bytes
expect_status 0 kvstore update raw cat
expect_status 0 kvstore get --raw raw
expect_stdout_of_file bytes

# A failure changes nothing, and makes no store.
cp data/store.log before
expect_status 4 kvstore update text sh -c 'echo new; exit 7'
expect_stderr "kvstore: 'sh' ended with status 7, and nothing was changed"
expect_status 3 kvstore update text sh -c 'echo new; kill -TERM $$'
expect_stderr "kvstore: 'sh' was ended by signal 15, and nothing was changed"
expect_status 3 kvstore update text ./nosuch
expect_stderr "kvstore: cannot run './nosuch': No such file or directory"
: >plain
expect_status 3 kvstore update text ./plain
expect_stderr "kvstore: cannot run './plain': Permission denied"
cmp -s before data/store.log || fail 'something was written'
for status in 4 3; do
    words=false
    [ $status -eq 4 ] || words=nosuch
    expect_status $status kvstore -d nowhere update key $words
    expect_nothing_at nowhere
done
expect_status 4 kvstore -d nowhere update --if-present key touch ran
expect_stderr
expect_nothing_at nowhere
expect_nothing_at ran
expect_status 4 kvstore update --if-present lost touch ran
expect_nothing_at ran
expect_status 3 kvstore -d nowhere --no-create update key echo
expect_nothing_at nowhere
expect_status 0 kvstore -d made update key echo new
expect_status 0 kvstore -d made get key
expect_stdout new

# The same bytes are not written again.
cp data/store.log before
expect_status 0 kvstore update text cat
cmp -s before data/store.log || fail 'the same was written again'

# The expiry stays, or is set also where the bytes stay.
expect_status 0 kvstore update --expires @4102444800 text cat
expect_status 0 kvstore update text echo other
expect_status 0 kvstore get --json text
expect_stdout '{"key":"text","value":"other","expires":4102444800000}'

# A large value, of a command that prints before it reads, and one that reads
# nothing.
head -c 3000000 /dev/zero | tr '\0' x | kvstore set --stdin large
expect_status 0 kvstore update large tr x y
[ "$(kvstore get large | tr -d '\n' | tr -d y | wc -c)" -eq 0 ] ||
    fail 'not all of it'
expect_status 0 kvstore update large echo small
expect_value large small

# A parent that ignores the end of its children says nothing about ours.
expect_status 0 env --ignore-signal=CHLD "$KVSTORE" update large echo smaller
expect_value large smaller

for operands in 'key' 'key --'; do
    expect_status 2 kvstore update $operands
    expect_stderr_match 'update: too few operands'
done
