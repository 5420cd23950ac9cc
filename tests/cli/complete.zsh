# SPDX-License-Identifier: MIT
#
# Prints what zsh offers for each line of standard input: LINE<TAB>WORD. The lines
# are typed in an interactive zsh, which completes them as it does for a user.
# Usage: zsh -f complete.zsh FOLDER, the folder of _kvstore.

emulate -R zsh
zmodload zsh/zpty || exit 77
files=$(mktemp -d) || exit 1

# What the inner zsh reads first. A control-T prints what a TAB would offer, from
# a control-B to a control-C, and drops the line.
cat >$files/setup <<'EOF'
PS1= PS2= RPS1=
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*' verbose no
compadd() {
    local -a hits
    if [[ ${(j: :)@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        builtin compadd -A hits "$@"
        offered+=("${(@)hits}")
    fi
    builtin compadd "$@"
}
offer() {
    local -a offered
    local quote=$compstate[quote]
    _main_complete 2>>$files/errors
    compstate[insert]= compstate[list]=
    print -rn -- $'\x02'$quote$'\x04'${(pj:\x04:)offered}$'\x03'
}
zle -C offer complete-word offer
drop() {
    zle offer
    BUFFER=
}
zle -N drop
bindkey '^T' drop
print -n '\x02\x03'
EOF

zpty inner zsh -f -i
zpty -w inner "files=${(q)files} fpath=(${(q)1} \$fpath); source \$files/setup"
zpty -r -m inner answer $'*\x02*\x03*'
while IFS= read -r line; do
    zpty -w -n inner $line$'\x14'
    zpty -r -m inner answer $'*\x02*\x03*'
    answer=${${answer##*$'\x02'}%%$'\x03'*}
    # The words are quoted as far as they would be in the line.
    quote=${answer%%$'\x04'*}
    for word in "${(@ps:\x04:)${answer#*$'\x04'}}"; do
        word=$quote$word$quote
        print -r -- $line$'\t'${${(Q)word}//$'\n'/\\n}
    done
done
zpty -d inner
cat $files/errors >&2
rm -rf $files
