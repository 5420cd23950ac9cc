# SPDX-License-Identifier: MIT
#
# Prints what bash offers for each line of standard input: LINE<TAB>WORD, where
# WORD is what the last word of the line would become. The function is called as
# bash does, with the line split as bash splits it.
# Usage: bash --norc complete.bash FOLDER [FILE], the folder of kvstore.bash, and
# a file to be read before it.

[[ -z ${2-} ]] || . "$2"
. "$1/kvstore.bash"

# Outside of a completion there is none.
compopt() {
    case $2 in
    default) mapfile -t COMPREPLY < <(compgen -f -- "${plain#"$lead"}") ;;
    dirnames) mapfile -t COMPREPLY < <(compgen -d -- "${plain#"$lead"}") ;;
    esac
}

# Sets COMP_WORDS, and word to the last of the line.
split() {
    local rest=$1 part
    local quoted="^(\\\\.|'[^']*('|\$)|\"(\\\\.|[^\"\\\\])*(\"|\$)|[^][:space:]:='\"\\\\])+"
    COMP_WORDS=('') word=''
    while [[ -n $rest ]]; do
        if [[ $rest =~ ^[[:space:]]+ ]]; then
            part=${BASH_REMATCH[0]}
            COMP_WORDS+=('') word=''
        else
            [[ $rest =~ ^[:=]+ || $rest =~ $quoted ]] || break
            part=${BASH_REMATCH[0]} word+=$part
            if [[ -z ${COMP_WORDS[-1]} ]]; then
                COMP_WORDS[-1]=$part
            else
                COMP_WORDS+=("$part")
            fi
        fi
        rest=${rest#"$part"}
    done
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
}

while IFS= read -r line; do
    split "$line"
    COMP_LINE=$line COMP_POINT=${#line}
    _kvstore
    # bash leaves what is in front of its own last word, and a quotation mark.
    last=${COMP_WORDS[-1]}
    lead=${word%"$last"} close=''
    case $last in
    [:=]*) lead+=$last ;;
    [\"\']*) close=${last:0:1} lead+=$close ;;
    esac
    for reply in "${COMPREPLY[@]}"; do
        eval "reply=$lead$reply$close"
        printf '%s\t%s\n' "$line" "${reply//$'\n'/\\n}"
    done
    [[ -n ${COMPREPLY[*]} ]] || printf '%s\t\n' "$line"
done
