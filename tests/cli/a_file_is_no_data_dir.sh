# SPDX-License-Identifier: MIT
#
# A file in the way is reported, and not touched.

. "$(dirname "$0")/support.sh"
echo text >file

for command in 'set key value' 'get key' 'rm key'; do
    expect_status 3 kvstore -d file $command
    expect_stdout
    expect_stderr_match "'file'"
    expect_status 3 kvstore -d file/store $command
    expect_stderr_match "'file/store'"
done
[ "$(cat file)" = text ] || fail 'the file has changed'
