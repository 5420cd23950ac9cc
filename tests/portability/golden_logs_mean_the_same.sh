# SPDX-License-Identifier: MIT
#
# Each golden log has the same contents on both machines, and when both write to
# it and compact it, the results are the same, byte for byte.

. "$(dirname "$0")/support.sh"

for log in "$cases"/../support/golden/*.log; do
    rm -rf here there
    mkdir -p here/data there/data
    cp "$log" here/data/store.log
    cp "$log" there/data/store.log
    expect_same list --json
    expect_same verify
    expect_same stats --json
    for key in user city a b c bytes spaced escapes damaged; do
        expect_same --quiet get "$key"
    done
    expect_same --quiet set 'new "key"' 'a new value'
    expect_same --quiet rm a
    expect_same compact
    expect_same list --json
    expect_same repair
    expect_same verify
    expect_same stats --json
    for file in here/data/*; do
        name=${file##*/}
        [ "$name" = store.index ] ||
            cmp "$file" "there/data/$name" || fail "$name of ${log##*/}"
    done
done
