# SPDX-License-Identifier: MIT
#
# Help that was asked for is data: standard output, status 0.

. "$(dirname "$0")/support.sh"

for option in -h --help; do
    expect_status 0 kvstore "$option"
    expect_stderr
    expect_stdout_match '^usage: kvstore '
    for word in set get rm --data-dir --sync --timeout --quiet --help \
        --version KVSTORE_DATA_DIR KVSTORE_SYNC KVSTORE_TIMEOUT Exit; do
        expect_stdout_match "$word"
    done
    for command in set get rm; do
        expect_status 0 kvstore "$command" "$option"
        expect_stderr
        expect_stdout_match "^usage: kvstore $command "
    done
done
expect_status 0 kvstore set --help
expect_stdout_match 'VALUE .* process list'
expect_status 0 kvstore get --help
expect_stdout_match '--raw'
expect_status 0 kvstore rm --help
expect_stdout_match '--force'

# Its lines fit a terminal, and a bad variable does not suppress it.
for command in '' set get rm; do
    expect_status 0 env KVSTORE_SYNC=junk "$KVSTORE" $command --help
    if grep -n '.\{81\}' "$scratch/capture/stdout"; then
        fail 'a line of help is longer than 80 columns'
    fi
done
expect_nothing_at data
