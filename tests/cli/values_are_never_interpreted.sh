# SPDX-License-Identifier: MIT
#
# VALUE is data: neither a file to read, nor an option, nor an escape.

. "$(dirname "$0")/support.sh"
echo secret >file

for value in - @file @- -- --stdin -i --file=file '\n\x41' '$HOME' '' ' ' '%s'; do
    expect_status 0 kvstore set key "$value"
    expect_value key "$value"
done
