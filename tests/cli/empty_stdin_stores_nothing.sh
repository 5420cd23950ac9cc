# SPDX-License-Identifier: MIT
#
# Standard input without a byte is more often a command that failed than a value:
# nothing is stored, status 3, unless --allow-empty says that it is one.

. "$(dirname "$0")/support.sh"

for options in --stdin -i '--file -' '-f-' '--chomp -i'; do
    # shellcheck disable=SC2086
    expect_status 3 kvstore set $options key </dev/null
    expect_stdout
    expect_stderr "kvstore: standard input is empty, and nothing was stored: \
--allow-empty stores an empty value"
    expect_nothing_at data
done
kvstore set key old
expect_status 3 kvstore set --stdin key </dev/null
expect_value key old
expect_status 0 kvstore set --stdin --allow-empty key </dev/null
expect_value key ''
