# SPDX-License-Identifier: MIT
#
# The manual page has each command and each option that help knows, and no other.

. "$(dirname "$0")/support.sh"
manual=$(cd "$(dirname "$0")/../.." && pwd)/docs/kvstore.1
[ -f "$manual" ] || skip 'there is no manual page'
sed 's/\\-/-/g; s/\\~/ /g; s/\\f[BIRP]//g' "$manual" >page

commands=$(kvstore --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')
{
    kvstore --help
    for command in $commands; do
        kvstore help "$command"
    done
} >helps

for command in $commands; do
    grep -q "^\\.B[A-Z]* .*\\b$command\\b" page || fail "$command is not in it"
done
grep -o -e '^  *\(-.,\)\{0,1\} *--[a-z-]*' helps | grep -o -e '--[a-z-]*' |
    sort -u >wanted
grep -o -e '--[a-z][a-z-]*' page | sort -u >found
diff wanted found >&2 || fail 'its options are not those of help'
