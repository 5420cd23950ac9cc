# SPDX-License-Identifier: MIT
#
# Operands and options that a command does not take are usage errors, and its
# help is on standard output.

. "$(dirname "$0")/support.sh"
kvstore set a 1
for command in stats compact verify repair; do
    expect_status 2 kvstore "$command" operand
    expect_stderr_match "^kvstore: $command: too many operands: "
    expect_status 2 kvstore "$command" --null
    expect_stderr_match "^kvstore: unknown option '--null'\$"
done
expect_status 2 kvstore compact --json
expect_status 2 kvstore list --raw
for command in list stats compact verify repair; do
    expect_status 0 kvstore "$command" --help
    expect_stdout_match "^usage: kvstore $command \[OPTIONS\]"
    expect_stderr
done
