# SPDX-License-Identifier: MIT
#
# An option's value that is missing, or not wanted, is a usage error.

. "$(dirname "$0")/support.sh"

for option in -d --data-dir; do
    expect_status 2 kvstore "$option"
    expect_stderr 'kvstore: option --data-dir needs a value' \
        "kvstore: try 'kvstore --help'"
    expect_status 2 kvstore set "$option"
    expect_stderr 'kvstore: option --data-dir needs a value' \
        "kvstore: try 'kvstore set --help'"
done
expect_status 2 kvstore get --timeout
expect_stderr_match 'option --timeout needs a value'
expect_status 2 kvstore --quiet=yes get key
expect_stderr_match 'option --quiet takes no value'
expect_status 2 kvstore set --no-create=no key value
expect_stderr_match 'option --no-create takes no value'
expect_status 2 kvstore get --raw= key
expect_stderr_match 'option --raw takes no value'
expect_nothing_at data
