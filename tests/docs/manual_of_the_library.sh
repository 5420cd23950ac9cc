# SPDX-License-Identifier: MIT
#
# docs/kvstore.3 has each function of the header, in its names, with its prototype
# and with an entry; each constant, each status with its number; and nothing else.
# Its example builds and runs.

. "$(dirname "$0")/support.sh"
header=$docs_source/include/kvstore.h
page=$docs_source/docs/kvstore.3
mkdir "$docs_scratch/manual"
cd "$docs_scratch/manual" || exit 1

# compare WHAT: the page has it as the header does.
compare() {
    [ -s of_header ] || docs_fail "the header has no $1"
    sort -u of_header >wanted
    sort -u of_page >found
    diff -u wanted found >&2 || docs_fail "the $1 are not those of the header"
}

# What the header declares without its comments, a line each, without spaces.
awk -v RS='[*]/' '{ sub(/\/[*].*/, ""); print }' "$header" |
    awk '/^#/ { macro = 1 } macro { macro = /\\$/; next } { printf "%s ", $0 }' |
    tr ';' '\n' | sed 's/KVSTORE_CHECKED//; s/[[:space:]]//g' >declared

grep '(.*)$' declared >of_header
awk '/^\.SH/ { on = $2 == "SYNOPSIS" } on && /^\.BI? "/ { print }' "$page" |
    sed 's/^\.[BI]*//; s/["[:space:]]//g' | tr -d '\n' | tr ';' '\n' >of_page
compare prototypes

grep -v '^typedef' wanted | sed 's/^kvstore_status//' |
    grep -o 'kvstore_[a-z_]*(' | tr -d '(' >of_header
awk '/^\.SH/ { on = $2 == "NAME" } on && /^kvstore_/ { print }' "$page" |
    tr -d ',' | tr ' ' '\n' >of_page
compare names
awk 'entry && $1 == ".BR" && $3 == "()" { print $2 } { entry = $0 == ".TP" }' \
    "$page" >of_page
compare entries
functions=$(wc -l <found)

grep -o 'KVSTORE_[A-Z_]*[A-Z]' "$header" |
    grep -v -x -e KVSTORE_H -e KVSTORE_CHECKED >of_header
grep -o 'KVSTORE_[A-Z_]*[A-Z]' "$page" >of_page
compare constants

sed -n 's/.*enumkvstore_status{//p' declared | tr ',' '\n' |
    sed -n 's/^\(KVSTORE_[A-Z_]*\)=\([0-9]*\).*/\2 \1/p' >of_header
sed -n 's/^\.BR \([0-9]*\)\\~ \(KVSTORE_[A-Z_]*\)$/\1 \2/p' "$page" >of_page
compare statuses

docs_manual "$page" >text
docs_block text c 1 >example.c
[ -s example.c ] || docs_fail 'kvstore.3 has no example'
# shellcheck disable=SC2086 # The flags are words.
"$KVSTORE_CC" -Wall -Wextra -Werror ${KVSTORE_CFLAGS-} example.c -o example \
    -I"$docs_source/include" "$KVSTORE_ARCHIVE" -lcjson -lpthread ||
    docs_fail 'the example does not build'
for run in 1 2; do
    ./example >printed || docs_fail "the example's run $run"
    printf 'city:basel Rhine\ncity:bern Aare\n4 bytes\n' | diff - printed >&2 ||
        docs_fail "what the example's run $run prints"
    [ "$(kvstore get runs)" = "$run" ] || docs_fail 'the example does not count'
done
echo "$functions functions are in kvstore.3, and its example builds and runs"
