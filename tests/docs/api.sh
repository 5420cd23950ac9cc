# SPDX-License-Identifier: MIT
#
# The code in docs/api.md builds and runs: its c blocks, from top to bottom, are
# one program. A block that begins with #include or static is at file scope, each
# other one is the body of a function.

. "$(dirname "$0")/support.sh"
document=$docs_source/docs/api.md
calls=

mkdir "$docs_scratch/api"
cd "$docs_scratch/api" || exit 1
for ((number = 1;; number++)); do
    block=$(docs_block "$document" c "$number")
    [ -n "$block" ] || break
    case $block in
    '#include'* | static*) printf '%s\n' "$block" ;;
    *)
        printf 'static void block_%d(void)\n{\n%s\n}\n' "$number" "$block"
        calls+="block_$number(); "
        ;;
    esac
done >api.c
[ -n "$calls" ] || docs_fail 'docs/api.md has no c blocks'
printf 'int main(void)\n{\n%s\n}\n' "$calls" >>api.c

# shellcheck disable=SC2086 # The flags are words.
"$KVSTORE_CC" -Wall -Wextra -Werror ${KVSTORE_CFLAGS-} api.c -o api \
    -I"$docs_source/include" "$KVSTORE_ARCHIVE" -lcjson -lpthread ||
    docs_fail 'the code of docs/api.md does not build'
./api >printed || docs_fail 'the code of docs/api.md fails'
for line in 'Alice, 5 bytes' mine 'account:alice: 70' 'account:bob: 30' \
    'set account:bob' 'that is all; what follows is news'; do
    grep -q -x -F -- "$line" printed || docs_fail "'$line' is not printed"
done
[ "$(kvstore get visited)" = ' /index.html' ] || docs_fail 'the update'
[ "$(kvstore --data-dir copy get hits)" = 1 ] || docs_fail 'the backup'
echo "the $((number - 1)) blocks of api.md build and run"
