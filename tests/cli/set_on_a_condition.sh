# SPDX-License-Identifier: MIT
#
# set --if-absent, --if-present and --if-value store only if that is so; else the
# status is 4, nothing is said and nothing is written. An expired key is absent.

. "$(dirname "$0")/support.sh"

# No store meets only one of them, and none is made for the others.
for condition in --if-present '--if-value x'; do
    expect_status 4 kvstore set $condition key new
    expect_stdout
    expect_stderr
    expect_nothing_at data
done
expect_status 3 kvstore --no-create set --if-present key new
expect_no_store data
expect_status 0 kvstore set --if-absent key one
expect_value key one

cp data/store.log before
for condition in --if-absent '--if-value other' '--if-value on' "--if-value ''"; do
    eval "expect_status 4 kvstore set $condition key new"
    expect_stdout
    expect_stderr
done
expect_status 4 kvstore set --if-present other new
cmp -s before data/store.log || fail 'something was written'

expect_status 0 kvstore set --if-present key two
expect_status 0 kvstore set --if-value two key three
expect_value key three
expect_status 0 shell 'printf four | "$KVSTORE" set --if-value three -i key'
expect_value key four

# The empty value is a value.
kvstore set empty ''
expect_status 4 kvstore set --if-value x empty y
expect_status 0 kvstore set --if-value '' empty y

# One that is past is not there.
kvstore set --expires 20ms short 1
sleep 0.1
expect_status 4 kvstore set --if-present short 2
expect_status 4 kvstore set --if-value 1 short 2
expect_status 0 kvstore set --if-absent short 2

# They exclude each other.
expect_status 2 kvstore set --if-absent --if-present key v
expect_stderr_match 'set: --if-absent and --if-present exclude each other'
expect_status 2 kvstore set --if-value x --if-absent key v

# Of many at once one is the first.
for i in 1 2 3 4 5 6 7 8; do
    kvstore set --if-absent race "$i" && echo "$i" >>winners &
done
wait
[ "$(wc -l <winners)" -eq 1 ] || fail 'not one was first'
expect_value race "$(cat winners)"
