# SPDX-License-Identifier: MIT
#
# A store.log that is no regular file is not opened.

. "$(dirname "$0")/support.sh"
mkdir -p dir/store.log fifo link
mkfifo fifo/store.log
ln -s "$PWD/elsewhere" link/store.log
: >elsewhere

for dir in dir fifo link; do
    for command in 'set key value' 'get key' 'rm key'; do
        expect_status 3 kvstore -d "$dir" $command
        expect_stdout
        expect_stderr_match "'$dir'"
    done
done
[ ! -s elsewhere ] || fail 'it wrote through a symbolic link'
