# SPDX-License-Identifier: MIT
#
# A key that a shell completes at a TAB on a terminal is that key for the command,
# whatever its bytes.

. "$(dirname "$0")/complete.sh"
need_terminal
export TERM=xterm

kvstore set user:one 1
kvstore set 'with space' 2
kvstore set "it's" 3
kvstore set 'dou"ble' 4
kvstore set 'do$lar' 5
kvstore set "$(printf 'new\nline')" 6
kvstore set 'back\slash;' 7

# The shell writes the file ready when it has begun to read the keyboard.
case $shell in
bash)
    printf '. %s/kvstore.bash\nPROMPT_COMMAND=": >ready"\n' \
        "$completions" >rc
    set -- bash --rcfile rc -i
    ;;
zsh)
    printf 'fpath=(%s $fpath)\nautoload -Uz compinit && compinit -D -u
        precmd() { : >ready }\n' "$completions" >.zshrc
    export ZDOTDIR="$PWD"
    set -- zsh -o no_global_rcs -i
    ;;
fish)
    printf 'source %s/kvstore.fish\nfunction fish_prompt; true >ready; end\n' \
        "$completions" >rc
    set -- fish --no-config --private --init-command '"source rc"'
    ;;
esac

# wait_for FILE: until it is there.
wait_for() {
    tries=0
    until [ -e "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || fail "$shell never makes $1"
        sleep 0.05
    done
}
mkfifo keyboard
script -qec "$*" /dev/null <>keyboard >terminal 2>&1 &
terminal=$!
before_clean_up() {
    kill "$terminal" 2>/dev/null || :
}
wait_for ready

# completes TYPED VALUE: at a TAB, these letters become a key with this value.
completes() {
    rm -f printed done
    printf 'kvstore get %s\t >printed; true >done\n' "$1" >keyboard
    wait_for done
    [ "$(cat printed)" = "$2" ] || {
        cat -v terminal >&2
        fail "$1 and a TAB is not the key of $2"
    }
}
completes user: 1
completes user 1
completes wi 2
completes 'with\ s' 2
completes "'wit" 2
completes it 3
completes '"it' 3
completes dou 4
completes '"dou' 4
completes do\\\$ 5
completes "'do\$" 5
completes '"back' 7
completes back 7
completes ne 6
