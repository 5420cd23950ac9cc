# SPDX-License-Identifier: MIT
#
# --sync takes always and none, and nothing else.

. "$(dirname "$0")/support.sh"

for mode in always none; do
    expect_status 0 kvstore --sync "$mode" set key "$mode"
    expect_value key "$mode"
    expect_status 0 env KVSTORE_SYNC=$mode "$KVSTORE" set key "again $mode"
    expect_value key "again $mode"
done
for mode in Always al no off 1 '' 'none '; do
    expect_status 2 kvstore --sync "$mode" get key
    expect_stdout
    expect_stderr "kvstore: --sync: '$mode' is neither 'always' nor 'none'" \
        "kvstore: try 'kvstore --help'"
done
