# SPDX-License-Identifier: MIT
#
# Four loops write at once: everything that was acknowledged is there.

. "$(dirname "$0")/support.sh"
export KVSTORE_TIMEOUT=100 # A slow disk is no failure.

for loop in 1 2 3 4; do
    (
        for i in 1 2 3 4 5 6 7 8 9 10; do
            "$KVSTORE" set "key $loop.$i" "value $loop.$i"
            "$KVSTORE" set shared "$loop.$i"
        done
    ) 2>"errors.$loop" &
    eval "loop_$loop=$!"
done
for loop in 1 2 3 4; do
    eval "process=\$loop_$loop"
    wait "$process" || fail "loop $loop: $(cat "errors.$loop")"
done

for loop in 1 2 3 4; do
    for i in 1 2 3 4 5 6 7 8 9 10; do
        expect_value "key $loop.$i" "value $loop.$i"
    done
done
expect_status 0 kvstore get shared
expect_stdout_match '^[1-4]\.10$'
[ "$(wc -l <data/store.log)" -eq 80 ] || fail 'the log has not 80 lines'
