# SPDX-License-Identifier: MIT
#
# The help of a command: usage, a paragraph, its own options and not those of
# every command, what surprises, examples that work, and the statuses that it
# returns itself. "help COMMAND" is the same as "COMMAND --help".

. "$(dirname "$0")/support.sh"
kvstore set user Alice
kvstore set session:1 Bob

commands=$(kvstore --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')
[ "$(echo "$commands" | wc -l)" -eq 21 ] || fail 'there are more commands'
for command in $commands; do
    expect_status 0 kvstore "$command" --help
    expect_stderr
    cp "$scratch/capture/stdout" help
    for line in "^usage: kvstore $command \[OPTIONS\]" '^Mind:$' \
        '^Examples:$' "^  .*kvstore $command" '^Exit status:$' '^  0  done$' \
        '^  2  '; do
        expect_stdout_match "$line"
    done
    if grep -e --data-dir -e --timeout help; then
        fail 'the common options are repeated'
    fi
    expect_status 0 kvstore help "$command"
    expect_stdout_of_file help
    expect_status 0 kvstore "$command" -h
    expect_stdout_of_file help
    if grep -n '.\{81\}' help; then
        fail 'a line of help is longer than 80 columns'
    fi

    # Each example can be typed as it is.
    sed -n '/^Examples:/,/^$/s/^  //p' help >examples
    [ "$(wc -l <examples)" -ge 2 ] || fail 'there are fewer than two examples'
done

expect_status 0 kvstore help get
expect_stdout_match '^  1  key not found$'
expect_stdout_match '^  6  damaged$'
expect_stdout_match '^  -r, --raw '
expect_status 0 kvstore help set
for status in 1 7; do
    if grep "^  $status  " "$scratch/capture/stdout"; then
        fail "set does not return $status"
    fi
done

# Without a command: the help of the program.
expect_status 0 kvstore --help
cp "$scratch/capture/stdout" help
expect_status 0 kvstore help
expect_stdout_of_file help
expect_status 2 kvstore help get set
expect_status 2 kvstore help nonsense
expect_stdout
expect_stderr_match "unknown command 'nonsense'"
