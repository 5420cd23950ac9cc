# SPDX-License-Identifier: MIT
#
# set makes the directory and those above it, for the owner alone, also where the
# umask takes the owner's own rights away.

. "$(dirname "$0")/support.sh"

for mask in 000 022 077 277 377; do
    rm -rf a
    umask $mask
    expect_status 0 kvstore -d a/b/c set key value
    expect_status 0 kvstore -d a/b/c compact
    for dir in a a/b a/b/c; do
        [ "$(stat -c %a "$dir")" = 700 ] || fail "$mask: $dir is open to others"
    done
    for file in store.log store.index; do
        [ "$(stat -c %a "a/b/c/$file")" = 600 ] ||
            fail "$mask: $file is open to others"
    done
done
umask 022
expect_status 0 kvstore --data-dir a/b/c/ get key
expect_stdout value
