# SPDX-License-Identifier: MIT
#
# A log of holes costs memory, disk and time for what is in it, not for its
# size.

. "$(dirname "$0")/support.sh"
mkdir data
(
    truncate -s 3G probe && [ "$(du -k probe | cut -f 1)" -lt 1000 ]
) || skip 'no holes here'
rm probe
(
    ulimit -v 200000
    exec "$KVSTORE" --version
) >version 2>&1 || skip 'a sanitizer needs more addresses'
line='{"Set":{"key":"a","val":"1"}}'

# Sixteen places are read to guess how many keys there are: full of lines, they
# promise billions.
truncate -s 40G data/store.log || skip 'no files of this size here'
for i in $(seq 0 15); do
    yes "$line" | head -c 4080 |
        dd of=data/store.log bs=1M seek=$((i * 2560)) conv=notrunc 2>/dev/null
done
printf '%s\n' "$line" >>data/store.log

[ "$(
    ulimit -v 200000
    exec "$KVSTORE" --quiet get a
)" -eq 1 ] || fail 'a is not 1'
[ "$(du -k data | cut -f 1)" -lt 40000 ] || fail 'the index is large'
