# SPDX-License-Identifier: MIT
#
# Too few operands, or too many, are usage errors.

. "$(dirname "$0")/support.sh"

for command in set get rm; do
    expect_status 2 kvstore "$command"
    expect_stdout
    expect_stderr "kvstore: $command: too few operands" \
        "kvstore: try 'kvstore $command --help'"
done
expect_status 2 kvstore set key value more
expect_stderr_match 'set: too many operands'
expect_status 2 kvstore get key more
expect_stderr_match 'get: too many operands'
expect_nothing_at data
