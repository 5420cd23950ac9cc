# SPDX-License-Identifier: MIT
#
# Too few operands, or too many, are usage errors.

. "$(dirname "$0")/support.sh"

for command in set get rm; do
    expect_status 2 kvstore "$command"
    expect_stdout
    expect_stderr_match "^kvstore: $command: too few operands: it takes KEY"
    expect_stderr_match "^kvstore: try 'kvstore $command --help'\$"
done
expect_status 2 kvstore set key value more
expect_stderr_match 'set: too many operands'
expect_status 2 kvstore list a b
expect_stderr_match 'list: too many operands'
expect_nothing_at data
