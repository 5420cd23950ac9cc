# SPDX-License-Identifier: MIT
#
# take prints a value and removes its key in one step: of several that take at
# once, each value goes to one. With --prefix it is the first key in key order.

. "$(dirname "$0")/support.sh"
printf 'a\0b\n' | kvstore set --stdin bytes
kvstore set --expires @4102444800 dated 1

expect_status 0 kvstore take --raw bytes
printf 'a\0b\n' >expected
expect_stdout_of_file expected
expect_absent bytes
expect_status 1 kvstore take bytes
expect_stdout
expect_stderr
expect_status 0 kvstore take --json dated
expect_stdout '{"key":"dated","value":"1","expires":4102444800000}'
expect_status 1 kvstore take --prefix q:
expect_stdout
expect_stderr
expect_status 3 kvstore -d nowhere take --prefix q:
expect_status 2 kvstore take
expect_status 2 kvstore take --prefix q: key
expect_status 2 kvstore take ''

# What could not be printed goes back.
kvstore set key value
expect_status 3 shell '"$KVSTORE" take key >/dev/full'
expect_value key value
mkfifo pipe
: <pipe &
reader=$!
exec 3>pipe
wait $reader
expect_status 3 shell '"$KVSTORE" take key >&3'
exec 3>&-
expect_stderr 'kvstore: cannot write standard output: Broken pipe' \
    'kvstore: was put back: key'
expect_value key value

# What cannot go back either stays in the log, though a compaction is due.
head -c 1046500 /dev/zero | tr '\0' f | kvstore -d big set --stdin filler
kvstore -d big set filler small
head -c 3000 /dev/zero | tr '\0' v | kvstore -d big set --stdin job
blocks=$(($(stat -c %s big/store.log) / 512 + 2))
expect_status 3 shell "ulimit -f $blocks; exec \"\$KVSTORE\" -d big take job >/dev/full"
expect_stderr_match "cannot put back 'job' in 'big': .*File too large"
expect_stderr_match 'was taken and not put back; its value is in store.log until a compaction: job'
grep -q '"Set":{"key":"job"' big/store.log || fail 'it is not there'
kvstore -d big stats --json | grep -q '"compaction_due":true' || fail 'none is due'

seq 10 40 | sed 's/.*/{"key":"q:&","value":"job &"}/' | kvstore import
expect_status 0 kvstore take --prefix q:
expect_stdout "$(printf 'q:10\tjob 10')"
for i in 1 2 3 4; do
    while kvstore --timeout 60 take --prefix q: >>"taken.$i"; do
        :
    done &
done
wait
cat taken.* | sort >found
seq 11 40 | sed 's/.*/q:&\tjob &/' | diff - found >&2 || fail 'not each once'
