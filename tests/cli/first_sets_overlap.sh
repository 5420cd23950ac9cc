# SPDX-License-Identifier: MIT
#
# Several commands may make one store at the same time.

. "$(dirname "$0")/support.sh"
export KVSTORE_TIMEOUT=100 # A slow disk is no failure.

for i in 1 2 3 4 5 6 7 8; do
    "$KVSTORE" -d new/store set "key $i" "value $i" 2>"errors.$i" &
    eval "writer_$i=$!"
done
for i in 1 2 3 4 5 6 7 8; do
    eval "process=\$writer_$i"
    wait "$process" || fail "writer $i: $(cat "errors.$i")"
done

for i in 1 2 3 4 5 6 7 8; do
    expect_status 0 kvstore -d new/store get "key $i"
    expect_stdout "value $i"
done
