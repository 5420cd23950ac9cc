# SPDX-License-Identifier: MIT
#
# Values may be secret: no failure shows one.

. "$(dirname "$0")/support.sh"
kvstore set key secret-word
sed 's/"secret-word"/"secret-Word"/' data/store.log >changed
cat changed >data/store.log

expect_status 6 kvstore get key
expect_stdout
if grep -qi secret "$scratch/capture/stderr"; then
    fail 'the value is shown'
fi
expect_status 3 kvstore -d /dev/null set key secret-word
if grep -qi secret "$scratch/capture/stderr"; then
    fail 'the value is shown'
fi
expect_status 2 kvstore set '' secret-word
if grep -qi secret "$scratch/capture/stderr"; then
    fail 'the value is shown'
fi
for words in '--if-valeu=secret rm key' 'rm --if-valeu=secret key' \
    '--if-value=secret rm key' 'set key other --if-value=secret' \
    'update key --if-value=secret tr a b'; do
    # The words are to be split.
    # shellcheck disable=SC2086
    expect_status 2 kvstore $words
    if grep -qi secret "$scratch/capture/stderr"; then
        fail "the value is shown: $words"
    fi
done
