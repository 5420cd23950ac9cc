# SPDX-License-Identifier: MIT
#
# The version, before and after a command, on standard output.

. "$(dirname "$0")/support.sh"

for option in -V --version; do
    expect_status 0 kvstore "$option"
    expect_stdout_match '^kvstore [0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*$'
    expect_stderr
    cp "$scratch/capture/stdout" version
    expect_status 0 kvstore get "$option"
    expect_stdout_of_file version
done
