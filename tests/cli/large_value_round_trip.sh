# SPDX-License-Identifier: MIT
#
# Some megabytes of text and of arbitrary bytes, through pipes.

. "$(dirname "$0")/support.sh"
awk 'BEGIN { for (i = 0; i < 400000; i++) print "line", i }' >text
head -c 5000000 /dev/urandom >bytes

for file in text bytes; do
    cat "$file" | kvstore set --stdin "$file"
    kvstore get --raw "$file" | cmp - "$file" || fail "$file has changed"
    kvstore get "$file" >got
    echo >>"$file"
    cmp got "$file" || fail "$file has changed without --raw"
done
