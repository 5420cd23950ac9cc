# SPDX-License-Identifier: MIT
#
# Sourced by the scripts here, which bash runs: a fresh directory to work in,
# the built program first in PATH, and the replaying of a document's console
# blocks. Names begin with docs_, since the replayed commands share the shell.

set -u

: "${KVSTORE:?the path of the program}"
docs_source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
unset KVSTORE_DATA_DIR KVSTORE_SYNC KVSTORE_TIMEOUT
export LC_ALL=C

docs_scratch=$(mktemp -d "${TMPDIR:-/tmp}/kvstore-docs.XXXXXX") || exit 1
trap 'cd /; rm -rf "$docs_scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$docs_scratch/bin" "$docs_scratch/work"
ln -s "$(realpath "$KVSTORE")" "$docs_scratch/bin/kvstore"
PATH=$docs_scratch/bin:$PATH
cd "$docs_scratch/work" || exit 1

docs_fail() {
    echo "FAILED: $*" >&2
    exit 1
}

docs_skip() {
    echo "skipped: $*"
    exit 77
}

command -v jq >/dev/null || docs_fail 'there is no jq'

# docs_block FILE LANGUAGE NUMBER: prints a fenced block.
docs_block() {
    awk -v language="$2" -v wanted="$3" '
        $0 == "```" language && !inside { inside = 1; count++; next }
        /^```/ { inside = 0; next }
        inside && count == wanted { print }
    ' "$1"
}

# docs_manual PAGE: prints a page of the manual, line by line, with its examples
# as fenced blocks: of console if they begin with "$ ", else of c.
docs_manual() {
    awk '
        opens { print $0 ~ /^\$ / ? "```console" : "```c"; opens = 0 }
        $0 == ".EX" { opens = inside = 1; next }
        $0 == ".EE" { print "```"; inside = 0; next }
        { print }
    ' "$1" | sed "s/\\\\-/-/g; s/\\\\(aq/'/g; s/\\\\e/\\\\/g"
}

# True if the commands of a block can be run here.
docs_can_run() {
    case $1 in
    *dpkg-query*) command -v dpkg-query >/dev/null || return 1 ;;
    esac
    case $1 in
    *xxhsum*) command -v xxhsum >/dev/null || return 1 ;;
    esac
    case $1 in
    */usr/share/common-licenses*) [ -d /usr/share/common-licenses ] || return 1 ;;
    esac
}

# Runs one command of a block in this shell, so that variables and $? live on,
# and compares what it prints, on both streams, with what the document says.
docs_run() {
    (exit "$docs_status")
    eval "$docs_command" >"$docs_scratch/actual" 2>&1 </dev/null
    docs_status=$?
    docs_count=$((docs_count + 1))
    printf '%s' "$docs_expected" >"$docs_scratch/expected"
    diff -u "$docs_scratch/expected" "$docs_scratch/actual" >&2 ||
        docs_fail "$docs_file, line $docs_line: not what '$docs_command' prints"
}

# Replays the block that ends here: "$ " begins a command, "> " goes on with it,
# all else is its output.
docs_replay_block() {
    docs_command=
    docs_expected=
    local docs_text docs_number=$2
    while IFS= read -r docs_text; do
        docs_number=$((docs_number + 1))
        if [ "${docs_text:0:2}" = '$ ' ]; then
            [ -z "$docs_command" ] || docs_run
            docs_command=${docs_text:2}
            docs_expected=
            docs_line=$docs_number
        elif [ "${docs_text:0:2}" = '> ' ] && [ -z "$docs_expected" ]; then
            docs_command+=$'\n'${docs_text:2}
        else
            docs_expected+=$docs_text$'\n'
        fi
    done <<<"$1"
    [ -z "$docs_command" ] || docs_run
}

# docs_replay FILE: replays its console blocks, one after the other, in the
# working directory.
docs_replay() {
    docs_file=$1
    docs_status=0
    docs_count=0
    local docs_number=0 docs_start=0 docs_inside=no docs_block_text= docs_text
    while IFS= read -r docs_text <&3; do
        docs_number=$((docs_number + 1))
        if [ "$docs_inside" = no ] && [ "$docs_text" = '```console' ]; then
            docs_inside=yes
            docs_start=$docs_number
            docs_block_text=
        elif [ "$docs_inside" = yes ] && [ "$docs_text" = '```' ]; then
            docs_inside=no
            if docs_can_run "$docs_block_text"; then
                docs_replay_block "${docs_block_text%$'\n'}" "$docs_start"
            else
                echo "line $docs_start: this block cannot be run here"
            fi
        elif [ "$docs_inside" = yes ]; then
            docs_block_text+=$docs_text$'\n'
        fi
    done 3<"$docs_file"
    [ "$docs_inside" = no ] || docs_fail "$docs_file: a block without an end"
    [ "$docs_count" -gt 0 ] || docs_fail "$docs_file: no command was run"
    echo "$docs_count commands print what $(basename "$docs_file") says"
}
