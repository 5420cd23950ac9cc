# SPDX-License-Identifier: MIT
#
# A command that goes through a whole store creates none where there is none.

. "$(dirname "$0")/support.sh"
mkdir empty
for command in list stats compact verify repair; do
    expect_status 3 kvstore "$command"
    expect_stdout
    expect_no_store data
    expect_nothing_at data
    expect_status 3 kvstore -d empty "$command"
    expect_no_store empty
    [ -z "$(ls -A empty)" ] || fail "there is now: $(ls -A empty)"
done
