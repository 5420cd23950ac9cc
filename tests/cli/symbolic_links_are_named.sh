# SPDX-License-Identifier: MIT
#
# What is refused since it is a symbolic link, or no directory, is called that.

. "$(dirname "$0")/support.sh"
kvstore set key value
ln -s data link
mkdir other dangling
ln -s ../data/store.log other/store.log
ln -s nowhere dangling/store.log
ln -s nowhere lost
ln -s loop loop
echo text >file

# The directory may be reached by a link.
expect_status 0 kvstore -d link get key
expect_stdout value

for command in 'get key' 'set key value' 'rm -f key' list; do
    for dir in other dangling; do
        # shellcheck disable=SC2086
        expect_status 3 kvstore -d "$dir" $command
        expect_stderr "kvstore: cannot open '$dir': its store.log is a symbolic \
link, and those are not followed"
    done
    # shellcheck disable=SC2086
    expect_status 3 kvstore -d loop $command
    expect_stderr "kvstore: cannot open 'loop': it is a symbolic link that leads \
nowhere"
    # shellcheck disable=SC2086
    expect_status 3 kvstore -d file $command
    expect_stderr "kvstore: cannot open 'file': it is not a directory"
done
expect_status 3 kvstore -d lost set key value
expect_stderr "kvstore: cannot open 'lost': it is a symbolic link that leads \
nowhere"
expect_status 3 kvstore -d lost get key
expect_no_store lost
expect_nothing_at nowhere
