# SPDX-License-Identifier: MIT
#
# Lines that other programs and people write by hand are records.

. "$(dirname "$0")/support.sh"
kvstore set key value
{
    echo '{"Set":{"key":"hand","val":"written"}}'
    echo
    echo ' { "Set" : { "val" : "spaced" , "key" : "space" } } '
    echo '{"Set":{"key":"named","value":"otherwise"}}'
    echo '{"Set":{"key":"\u0065scaped","val":"\u263a","extra":[1,{}]}}'
    echo '{"Set":{"key64":"YmFzZTY0","val64":"AAH/"}}'
    printf '{"Remove":{"key":"key"}}'
} >>data/store.log

expect_value hand written
expect_value space spaced
expect_value named otherwise
expect_value escaped '☺'
expect_status 0 kvstore get -r base64
printf '\0\001\377' >expected
expect_stdout_of_file expected
expect_absent key
expect_status 0 kvstore set key again
expect_value key again
