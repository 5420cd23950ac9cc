# SPDX-License-Identifier: MIT
#
# A script that abbreviates would break with the next new option: only whole
# names count.

. "$(dirname "$0")/support.sh"
kvstore set key value

for option in --vers --hel --q --quie; do
    expect_status 2 kvstore "$option" get key
    expect_stderr_match "unknown option '$option'"
    expect_stdout
done
expect_status 2 kvstore --data data get key
expect_stderr_match "unknown option '--data'"
expect_status 2 kvstore --data-di=data get key
expect_stderr_match "unknown option '--data-di'"
expect_status 2 kvstore get --ra key
expect_stderr_match "unknown option '--ra'"
expect_status 2 kvstore rm --forc key
expect_stderr_match "unknown option '--forc'"
expect_status 2 kvstore get --rawer key
expect_stderr_match "unknown option '--rawer'"

# Neither after an option that is fine, nor after a cluster.
expect_status 2 kvstore -q --vers get key
expect_status 2 kvstore get -qr --timeou 1 key
expect_stderr_match "unknown option '--timeou'"
# The value of an option is no option.
expect_status 3 kvstore --data-dir --vers get key
expect_no_store --vers
expect_status 3 kvstore get -rd --vers key
expect_no_store --vers
