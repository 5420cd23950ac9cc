# SPDX-License-Identifier: MIT
#
# A shell completes the commands and options that help tells of, and no others,
# their values, and the keys of the store that the line names. It makes no store,
# waits for none, and says nothing. What it offers for a line is printed by
# complete.bash, complete.zsh and complete.fish.

. "$(dirname "$0")/complete.sh"
case $shell in
bash) file=kvstore.bash without='--norc' ;;
zsh) file=_kvstore without='-f' ;;
fish) file=kvstore.fish without='--no-config' ;;
esac

tab=$(printf '\t')
also='' # A file that bash is to read, too.

# offer LINES: what is offered for each line of the file, as LINE<TAB>WORD. An
# option that is in the word is left out, and what a folder ends in.
offer() {
    expect_status 0 "$shell" "$without" "$tests/complete.$shell" \
        "$completions" "$also" <"$1"
    expect_stderr
    sed "s/$tab--[a-z-]*=/$tab/; s,/\$,," "$scratch/capture/stdout" |
        LC_ALL=C sort -u >offered
}

# expect_offers: standard input has what is to be offered, in the same form. For
# a line without a tab that is nothing.
expect_offers() {
    sed "/$tab/!s/\$/$tab/" | LC_ALL=C sort -u >wanted
    cut -f 1 wanted | uniq >lines
    offer lines
    diff wanted offered >&2 || fail "$shell offers something else"
}

# options_in HELP: its options, one a line, with yes if they have a value.
options_in() {
    awk '/^  (-.,|   ) --[a-z]/ {
        match($0, /--[a-z-]+/)
        has_value = substr($0, RSTART + RLENGTH) ~ /^ [^ ]/ ? "yes" : "no"
        if ($1 ~ /,/) print substr($1, 1, 2), has_value
        print substr($0, RSTART, RLENGTH), has_value
    }' "$1"
}

# offers LINE: reads words, and writes them as what is offered for the line.
offers() {
    sed "s/ .*//; s/^/$1$tab/"
}

# All commands, and their options with those of every command.
kvstore --help >help
commands=$(sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' help)
for command in $commands; do
    kvstore help "$command" >"help_$command"
done
{
    printf '%s\n' $commands | offers 'kvstore '
    printf '%s\n' $commands | offers 'kvstore help '
    options_in help | offers 'kvstore -'
    for command in $commands; do
        options_in help | offers "kvstore $command -"
        options_in "help_$command" | offers "kvstore $command -"
    done
} | expect_offers

# An option that has a value takes the next word: options can follow. Else that
# word is an operand, and none can.
for command in $commands; do
    { options_in help && options_in "help_$command"; } |
        sed "s/\(.*\) \(.*\)/kvstore $command \1 x -$tab\2/"
done >wanted
LC_ALL=C sort -u -o wanted wanted
cut -f 1 wanted >lines
kvstore set x 1
offer lines
awk -F '\t' '{ has[$1] = has[$1] || $2 ~ /^-./ }
    END { for (line in has) print line "\t" (has[line] ? "yes" : "no") }' \
    offered | LC_ALL=C sort >found
diff wanted found >&2 || fail 'an option has a value, or has none'

# The commands are described as in help.
if [ "$shell" != bash ]; then
    sed -n 's/^  [a-z].\{20\}//p' help | while IFS= read -r summary; do
        grep -qF -e "$summary" "$completions/$file" || fail "no '$summary'"
    done
fi

# Keys, of the store that is named, in every place where a key can be.
kvstore -d "other dir" set 'elsewhere' 1
kvstore -d "$HOME/mine" set 'at:home' 1
kvstore rm x
for key in user:1 user:2 'with space' "it's" 'dou"ble' 'do$lar' 'back\slash' \
    'a=b' 'per%cent' ü; do
    kvstore set --sync none "$key" 1
done
kvstore set --sync none -- -hyphen 1
touch t.json
mkdir d.new
expect_offers <<'EOF'
kvstore g	get
kvstore help ge	get
kvstore get 	a=b
kvstore get 	back\slash
kvstore get 	do$lar
kvstore get 	dou"ble
kvstore get 	it's
kvstore get 	per%cent
kvstore get 	user:1
kvstore get 	user:2
kvstore get 	with space
kvstore get 	ü
kvstore get a=	a=b
kvstore get ü	ü
kvstore get wi	with space
kvstore get with\ s	with space
kvstore get 'with s	with space
kvstore get 'back	back\slash
kvstore get it\'	it's
kvstore get "do	do$lar
kvstore get "do	dou"ble
kvstore get back\\	back\slash
kvstore get user:	user:1
kvstore get user:	user:2
kvstore get user:1 us	user:1
kvstore get user:1 us	user:2
kvstore get nothing
kvstore get -- -h	-hyphen
kvstore -q get -r us	user:1
kvstore -q get -r us	user:2
kvstore set user:1 u
kvstore exists wi	with space
kvstore rm -f wi	with space
kvstore rm --prefix wi	with space
kvstore take --prefix=wi	with space
kvstore take wi	with space
kvstore take wi wi
kvstore mv wi	with space
kvstore mv x wi	with space
kvstore expire n	never
kvstore expire never wi	with space
kvstore incr wi	with space
kvstore incr x wi
kvstore update wi	with space
kvstore once --release wi	with space
kvstore list wi	with space
kvstore list --from wi	with space
kvstore list --to wi	with space
kvstore export wi	with space
kvstore watch wi	with space
kvstore -d other\ dir get 	elsewhere
kvstore -d 'other dir' get 	elsewhere
kvstore -qd other\ dir get 	elsewhere
kvstore --data-dir other\ dir get 	elsewhere
kvstore --data-dir=other\ dir get 	elsewhere
kvstore get -d other\ dir 	elsewhere
kvstore get -r --data-dir=other\ dir 	elsewhere
kvstore -d ~/mine get 	at:home
kvstore -d $HOME/mine get at
kvstore -d nowhere get wi
kvstore --sync 	always
kvstore --sync 	none
kvstore --sync=n	none
kvstore set --expires 	keep
kvstore set --expires 	never
kvstore export --format 	log
kvstore export --format 	ndjson
kvstore export --format 	resp
kvstore export --format 	tsv
kvstore watch --since 	start
kvstore set -f t.	t.json
kvstore set --file t.	t.json
kvstore set --file=t.	t.json
kvstore get -o t.	t.json
kvstore import t.	t.json
kvstore batch t.	t.json
kvstore -d d.	d.new
kvstore backup d.	d.new
kvstore once x kvsto	kvstore
kvstore update x kvsto	kvstore
kvstore update x -- kvsto	kvstore
kvstore update x cat t.	t.json
kvstore once --release x -- cat t.	t.json
EOF
expect_nothing_at nowhere

# So are the arguments of the command that is run, in bash by bash-completion.
also=/usr/share/bash-completion/bash_completion
if [ "$shell" != bash ] || [ -f "$also" ]; then
    expect_offers <<'EOF'
kvstore update user:1 kvstore ge	get
kvstore once x -- kvstore -d other\ dir get 	elsewhere
kvstore get user:	user:1
kvstore get user:	user:2
EOF
fi
also=''

# Not more of them than can be read.
i=0
while [ $i -lt 300 ]; do
    printf 'many%s\0%s\0' $i $i
    i=$((i + 1))
done | kvstore -d many import -0
echo 'kvstore -d many get many' >lines
offer lines
[ "$(wc -l <offered)" -eq 200 ] || fail "$(wc -l <offered) keys"

# A store that is held is not waited for, nor one that cannot be read soon.
exec 9<>data/store.log
flock -x 9
echo "kvstore get wi${tab}with space" | expect_offers
exec 9<&-
rm "$scratch/bin/kvstore" "$scratch/bin/timeout"
printf '#!/bin/sh\nexec sleep 300\n' >"$scratch/bin/kvstore"
chmod +x "$scratch/bin/kvstore"
echo "kvstore get wi" | expect_offers
