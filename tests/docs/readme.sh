# SPDX-License-Identifier: MIT
#
# The README is true: its tour prints what it says, its example builds and runs,
# and its two commands name presets that exist.

. "$(dirname "$0")/support.sh"
readme=$docs_source/README.md

for number in 1 2; do
    block=$(docs_block "$readme" sh "$number")
    [ -n "$block" ] || docs_fail "README.md has no sh block $number"
    [ "$(printf '%s\n' "$block" | wc -l)" -eq 1 ] ||
        docs_fail "sh block $number of README.md is not one line"
    preset=$(printf '%s\n' "$block" |
        sed -n 's/.*cmake --workflow --preset \([a-z]*\).*/\1/p')
    jq -e --arg name "$preset" '.workflowPresets[] | select(.name == $name)' \
        "$docs_source/CMakePresets.json" >/dev/null ||
        docs_fail "sh block $number: there is no workflow preset '$preset'"
done

docs_replay "$readme"

# Builds the example with only the README's own command.
mkdir "$docs_scratch/example"
cd "$docs_scratch/example" || exit 1
docs_block "$readme" c 1 >example.c
[ -s example.c ] || docs_fail 'README.md has no c block'
# shellcheck disable=SC2086 # The flags are words.
"$KVSTORE_CC" -Wall -Wextra -Werror ${KVSTORE_CFLAGS-} example.c -o example \
    -I"$docs_source/include" "$KVSTORE_ARCHIVE" -lcjson -lpthread ||
    docs_fail 'the example does not build'
for run in first second; do
    [ "$(./example)" = Alice ] || docs_fail "the example's $run run"
done
[ "$(kvstore get user)" = Alice ] ||
    docs_fail 'what the example stored is not there'
echo 'the example builds and runs'
