# SPDX-License-Identifier: MIT
#
# The links between the documents lead somewhere: each file is there, and each
# heading that is linked to.

. "$(dirname "$0")/support.sh"

# Prints the anchors of a document, as GitHub makes them of its headings.
anchors() {
    awk '/^```/ { inside = !inside } /^##* / && !inside' "$1" |
        sed 's/^#* //' | tr '[:upper:]' '[:lower:]' |
        sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

count=0
cd "$docs_source" || exit 1
for document in README.md docs/*.md; do
    while IFS= read -r target; do
        file=${target%%#*}
        path=$document
        [ -z "$file" ] || path=$(dirname "$document")/$file
        [ -e "$path" ] || docs_fail "$document: there is no $file"
        case $target in
        *'#'*)
            anchors "$path" | grep -q -x -- "${target#*#}" ||
                docs_fail "$document: $path has no heading for #${target#*#}"
            ;;
        esac
        count=$((count + 1))
    done < <(awk '/^```/ { inside = !inside } !inside' "$document" |
        grep -o ']([^):]*)' | sed 's/^](//; s/)$//')
done
[ "$count" -gt 0 ] || docs_fail 'there are no links'
echo "$count links lead somewhere"
