# SPDX-License-Identifier: MIT
#
# A limit on file sizes (ulimit -f) is a failed set, or a failed write to
# standard output, not a death by SIGXFSZ.

. "$(dirname "$0")/support.sh"
kvstore set key old
head -c 100000 /dev/zero | tr '\0' v >large

expect_status 3 shell 'ulimit -f 16; exec "$KVSTORE" set --stdin key <large'
expect_stdout
expect_stderr_match "^kvstore: cannot set 'key' in './data': .*File too large"
expect_value key old
expect_status 0 kvstore set key new
expect_value key new

kvstore set --stdin large <large
expect_status 3 shell 'ulimit -f 16; exec "$KVSTORE" get large >got'
expect_stderr 'kvstore: cannot write standard output: File too large'
