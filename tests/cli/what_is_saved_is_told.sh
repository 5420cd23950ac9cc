# SPDX-License-Identifier: MIT
#
# What is cut off the log, and may be more than an unfinished write, is saved,
# and the command says where: --quiet does not hide it.

. "$(dirname "$0")/support.sh"
kvstore set key value
printf 'two lines\nof something' >>data/store.log

expect_status 0 kvstore --quiet set next 1
expect_stderr "kvstore: warning: in './data': the last 22 bytes of store.log do\
 not read, and may be more than one unfinished write: they are in\
 store.log.cut-53 now"

printf 'two lines\nof something' >expected
cmp expected data/store.log.cut-53
expect_status 0 kvstore set next 2
expect_stderr
