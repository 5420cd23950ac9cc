# SPDX-License-Identifier: MIT
#
# With --file the value is what the file holds, byte for byte; "-" is standard
# input. A file that cannot be read is status 3, and the old value stays.

. "$(dirname "$0")/support.sh"
head -c 300000 /dev/urandom >bytes
: >empty

for options in '--file bytes' '-f bytes' '--file=bytes'; do
    # shellcheck disable=SC2086
    expect_status 0 kvstore set $options key
    expect_status 0 kvstore get --raw key
    expect_stdout_of_file bytes
done
expect_status 0 shell '"$KVSTORE" set --file - key <bytes'
expect_status 0 kvstore get --raw key
expect_stdout_of_file bytes

# A file may be empty; that is no accident.
expect_status 0 kvstore set -f empty empty
expect_value empty ''

kvstore set key old
expect_status 3 kvstore set -f absent key
expect_stderr "kvstore: cannot read 'absent': No such file or directory"
expect_status 3 kvstore set -f . key
expect_stderr "kvstore: cannot read '.': Is a directory"
expect_status 3 kvstore set -f '' key
expect_value key old
