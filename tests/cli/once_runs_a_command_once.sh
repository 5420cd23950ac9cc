# SPDX-License-Identifier: MIT
#
# once runs a command unless the key is there. If it succeeds, the key stays; if
# not, the key is removed. The status is the command's.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore once job sh -c 'echo done >>ran; echo out; echo err >&2'
expect_stdout out
expect_stderr_is_err() {
    [ "$(cat "$scratch/capture/stderr")" = err ] || fail 'not its own stderr'
}
expect_stderr_is_err
expect_status 4 kvstore once job sh -c 'echo done >>ran'
expect_stdout
expect_stderr
expect_status 9 kvstore once -E 9 job sh -c 'echo done >>ran'
expect_status 0 kvstore once --conflict-status=0 job sh -c 'echo done >>ran'
[ "$(cat ran)" = done ] || fail 'it was run again'
expect_status 0 kvstore get job
expect_stdout_match '^done [0-9T:-]*Z$'

# What fails is removed, whatever its status.
for status in 1 4 77 125 255; do
    expect_status $status kvstore once fails -- sh -c "exit $status"
    expect_status 1 kvstore exists fails
done
expect_status 143 kvstore once killed sh -c 'kill -TERM $$'
expect_status 137 kvstore once killed sh -c 'kill -KILL $$'
expect_status 1 kvstore exists killed
expect_status 127 kvstore once fails ./nosuch
expect_stderr "kvstore: cannot run './nosuch': No such file or directory"
: >plain
expect_status 126 kvstore once fails ./plain
expect_status 1 kvstore exists fails
: >file
expect_status 125 kvstore -d file once key true
expect_stderr_match "^kvstore: cannot open 'file'"
expect_status 125 kvstore -d nowhere --no-create once key true
expect_nothing_at nowhere

# A lock for as long as the command runs.
expect_status 0 kvstore once --release lock sh -c "'$KVSTORE' get lock"
expect_stdout_match '^running [0-9]* [0-9T:-]*Z [0-9a-f]*$'
expect_status 1 kvstore exists lock
expect_status 3 kvstore once --release lock sh -c 'exit 3'

# WHEN counts from the command's start.
expect_status 0 kvstore once --expires @4102444800 dated true
kvstore get --json dated | grep -q '"expires":4102444800000' || fail 'never'
expect_status 0 kvstore once --expires 0.1 brief sleep 0.2
expect_status 1 kvstore exists brief
expect_status 0 kvstore once --expires 1h hourly true
expect_status 4 kvstore once hourly true
expect_status 0 kvstore once --expires 0.1 brief true
sleep 0.2
expect_status 0 kvstore once brief true

# What it holds is somebody else's by then, and is left alone.
expect_status 1 kvstore once lost sh -c "'$KVSTORE' set lost other; exit 1"
expect_value lost other

# It takes input, and options of the command are its own.
expect_status 0 shell 'echo in | "$KVSTORE" once cat cat'
expect_stdout in
expect_status 2 kvstore once key
expect_status 2 kvstore once key --
expect_status 2 kvstore once --expires keep key true
expect_status 2 kvstore once -E 256 key true
expect_status 2 kvstore once -E '' key true
expect_status 2 kvstore once '' true
expect_status 1 kvstore exists key
