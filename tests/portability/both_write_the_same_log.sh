# SPDX-License-Identifier: MIT
#
# The same sets and removes make the same log, byte for byte, on both machines,
# and each reads the log of the other.

. "$(dirname "$0")/support.sh"
mkdir here there
head -c 300000 "$KVSTORE" >bytes
head -c 200000 /dev/zero | tr '\0' 'v' >text
printf '\001\037"\\\t\n\177 \303\274 \360\237\230\200 text' >escapes
printf '\377\376 no text' >no_text

for file in bytes text escapes no_text; do
    (cd here && kvstore set --stdin "$file" <"../$file")
    (cd there && other set --stdin "$file" <"../$file")
done
for size in 0 1 7 8 9 15 16 17 31 32 33 127 128 129 240 241 1000; do
    value=$(head -c "$size" text)
    expect_same set "a key of the value of $size" "$value"
done
expect_same set "$(cat escapes)" escapes
expect_same rm 'a key of the value of 9'

cmp here/data/store.log there/data/store.log || fail 'the logs differ'
mv here/data/store.log log
mv there/data/store.log here/data/store.log
mv log there/data/store.log
expect_same verify
expect_same list --json
for file in bytes text escapes no_text; do
    expect_same get --raw "$file"
    cmp "$file" here.out || fail "$file has changed"
done
