# SPDX-License-Identifier: MIT
#
# A key has at least one byte; an empty one is a usage error, and no store is
# made for it.

. "$(dirname "$0")/support.sh"

for command in 'set @ value' 'get @' 'rm @' 'rm -f @'; do
    set --
    for word in $command; do
        set -- "$@" "${word#@}"
    done
    expect_status 2 kvstore "$@"
    expect_stdout
    expect_stderr 'kvstore: the key is empty'
done
expect_status 2 kvstore set --stdin '' </dev/null
expect_nothing_at data
