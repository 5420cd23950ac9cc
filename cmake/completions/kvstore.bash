# SPDX-License-Identifier: MIT
#
# Completion of kvstore in bash: commands, options, their values, and the keys
# of the store. Needs nothing but bash 4.3 or later; the arguments of a command
# that kvstore runs are completed as usual where bash-completion is loaded.
#
# What the functions share is local to _kvstore, the one that bash calls.

# Prints the commands.
_kvstore_commands() {
    echo set get exists rm take mv expire incr update once batch list export \
        import watch stats compact verify repair backup help
}

# Prints the options of a command, or without one those of every command. An
# option that takes a value ends in =.
_kvstore_options() {
    case ${1-} in
    '') echo -d= --data-dir= --sync= --timeout= --no-create -q --quiet \
        --progress -h --help -V --version ;;
    set) echo -i --stdin -f= --file= --chomp --allow-empty --if-absent \
        --if-present --if-value= --expires= ;;
    get) echo -r --raw -k --with-keys -o= --output= --default= --json -0 \
        --null ;;
    rm) echo -f --force --if-value= --prefix= --all ;;
    take) echo --prefix= -r --raw -k --with-keys --json -0 --null ;;
    mv) echo --if-absent ;;
    expire) echo -f --force ;;
    incr) echo --expires= ;;
    update) echo -r --raw --if-present --expires= ;;
    once) echo --expires= --release -E= --conflict-status= ;;
    batch | import) echo --if-absent --format= -0 --null ;;
    list) echo --values --json -0 --null --from= --to= --reverse --limit= \
        --count ;;
    export) echo -o= --output= --format= -0 --null ;;
    watch) echo --since= --limit= --json --format= ;;
    stats) echo --json ;;
    esac
}

# Prints what an operand is, by the command and the operand's number.
_kvstore_operand() {
    case $1:$2 in
    set:1 | take:1 | incr:1 | update:1 | once:1 | list:1 | export:1 | watch:1 | \
        mv:[12]) echo key ;;
    expire:1) echo when ;;
    get:* | exists:* | rm:* | expire:*) echo key ;;
    update:* | once:*) echo run ;;
    batch:1 | import:1) echo file ;;
    backup:1) echo directory ;;
    help:1) echo command ;;
    esac
}

# Prints what the value of an option is.
_kvstore_value() {
    case $1 in
    -d | --data-dir) echo directory ;;
    -f | --file | -o | --output) echo file ;;
    --prefix | --from | --to) echo key ;;
    --sync | --format | --since | --expires) echo "${1#--}" ;;
    esac
}

# Sets plain to what a word means, and open to its quotation mark that has not
# been closed. Fails if only running the word would tell.
_kvstore_unquote() {
    local rest=$1 at
    plain='' open=''
    while [[ -n $rest ]]; do
        at=${rest:0:1} rest=${rest:1}
        case $open$at in
        [\$\`] | \"[\$\`]) return 1 ;;
        \"\\) [[ $rest == [\$\`\"\\]* ]] || plain+=$at
            plain+=${rest:0:1} rest=${rest:1} ;;
        \\) plain+=${rest:0:1} rest=${rest:1} ;;
        [\"\']) open=$at ;;
        \"\" | \'\') open='' ;;
        *) plain+=$at ;;
        esac
    done
}

# Sets words to those in front of the current one, current to that as far as the
# cursor, and tail to the part of it that bash puts a completion in place of: bash
# has split words at : and =, which is undone here. places says where in
# COMP_WORDS they begin.
_kvstore_join_words() {
    local line=${COMP_LINE:0:COMP_POINT} word i
    words=() places=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == 0)) || [[ -z $line || $line == [[:space:]]* ]]; then
            words+=('') places+=("$i")
            line=${line#"${line%%[![:space:]]*}"}
        fi
        ((i < COMP_CWORD)) || word=$line
        words[-1]+=$word
        line=${line#"$word"}
    done
    current=${words[-1]} tail=$word
    [[ $tail == *[!:=@]* ]] || tail=''
    unset 'words[-1]'
}

# Takes in a word that is one option or several letters. Sets option if the next
# word is its value.
_kvstore_read_option() {
    local among letters letter
    among=" $(_kvstore_options "$command") $(_kvstore_options) "
    case $1 in
    # After '' a tilde is none, as there.
    --data-dir=*) directory="''${1#*=}" ;;
    --*) [[ $among != *" $1= "* ]] || option=$1 ;;
    *)
        for ((letters = 1; letters < ${#1}; letters++)); do
            letter=-${1:letters:1}
            [[ $among == *" $letter= "* ]] || continue
            option=$letter
            break
        done
        # What follows it in the same word is its value.
        if [[ -n $option && -n ${1:letters+1} ]]; then
            [[ $option != -d ]] || directory="''${1:letters+1}"
            option=''
        fi
        ;;
    esac
}

# Sets, from the words in front of the current one, command; directory; option,
# if the current word is its value; operands, how many there are; ended, if only
# operands can follow; and run_place, where in COMP_WORDS another command begins.
_kvstore_read_line() {
    local i word
    command='' directory='' option='' operands=0 ended='' run_place=''
    for ((i = 1; i < ${#words[@]}; i++)); do
        word=${words[i]}
        if [[ -n $option ]]; then
            case $option in -d | --data-dir) directory=$word ;; esac
            option=''
        elif [[ -z $ended && $word == -- ]]; then
            ended=$command
        elif [[ -z $ended && $word == -?* ]]; then
            _kvstore_read_option "$word"
        elif [[ -z $command ]]; then
            command=$word
        elif [[ $operands:$word != 1:-- || $command != @(update|once) ]]; then
            operands=$((operands + 1)) ended=yes
            ((operands != 2)) || run_place=${places[i]}
        fi
    done
}

# Sets reply to a text in the form in which it continues what is typed. Fails if
# it has none.
_kvstore_quote() {
    local at
    reply=$1
    case $open in
    '') [[ -z $reply ]] || printf -v reply %q "$reply" ;;
    \')
        at="'\\''"
        reply=${reply//\'/"$at"}
        ;;
    \")
        for at in \\ \" \$ \`; do
            reply=${reply//"$at"/"\\$at"}
        done
        [[ $reply != *!* ]]
        ;;
    esac && [[ -z $open || $reply != *[[:cntrl:]]* ]]
}

# Offers those of the texts that begin with what is typed.
_kvstore_offer() {
    local text reply
    for text; do
        text=$lead$text
        if [[ $text == "$plain"* ]] && _kvstore_quote "${text#"$head"}"; then
            COMPREPLY+=("$reply")
        fi
    done
}

# Sets plain to what is typed of the current word, open to its quotation mark, and
# head to the part of it in front of the place where bash puts a completion.
_kvstore_read_current() {
    local text quote
    _kvstore_unquote "$current" || return
    text=$plain quote=$open
    if [[ -n $quote ]]; then
        tail=${current##*"$quote"}
        current=${current%"$quote$tail"}
    elif [[ ${tail//\\?/} == *[\"\']* ]]; then
        return 1
    else
        current=${current%"$tail"}
    fi
    _kvstore_unquote "$current" && [[ -z $open ]] || return
    head=$plain plain=$text open=$quote
}

# Sets place to the option that names the store, as the line does.
_kvstore_read_directory() {
    local plain open home=''
    place=()
    [[ -n $directory ]] || return 0
    case $directory in
    '~' | '~/'*) home=$HOME directory=${directory#\~} ;;
    esac
    _kvstore_unquote "$directory" && place=(-d "$home$plain")
}

# Offers keys of the store that the line names. Reads, creates nothing, waits for
# nobody, and offers nothing where there is no store or it cannot be read soon.
_kvstore_offer_keys() {
    local place keys=() key
    _kvstore_read_directory || return
    while IFS= read -r -d '' key; do
        # It would be read as an option.
        [[ $key == -* && -z $ended && -z $option ]] || keys+=("$key")
    done < <(timeout 2 kvstore -q --timeout 0 "${place[@]}" \
        list -0 --limit 200 -- "${plain#"$lead"}" 2>/dev/null </dev/null)
    _kvstore_offer "${keys[@]}"
}

# Completes the command that kvstore runs, and its arguments.
_kvstore_offer_run() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "${run_place:-${places[-1]}}"
    elif [[ -z $run_place ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$plain")
    else
        compopt -o default
    fi
}

# Offers what a word may be: an operand or the value of an option.
_kvstore_offer_kind() {
    case $1 in
    key) _kvstore_offer_keys ;;
    command) _kvstore_offer $(_kvstore_commands) ;;
    sync) _kvstore_offer always none ;;
    format) _kvstore_offer ndjson log tsv resp ;;
    since) _kvstore_offer start ;;
    expires) _kvstore_offer never keep ;;
    when) _kvstore_offer never ;;
    run) _kvstore_offer_run ;;
    file) compopt -o default ;;
    directory) compopt -o dirnames ;;
    esac
}

_kvstore() {
    local IFS=$' \t\n' words places current tail plain open head lead=''
    local command directory option operands ended run_place options
    COMPREPLY=()
    _kvstore_join_words
    _kvstore_read_line
    options=$(_kvstore_options "$command")\ $(_kvstore_options)
    if [[ -z $option && -z $ended && $current == --*=* ]]; then
        option=${current%%=*} lead=${current%%=*}=
        [[ " $options " == *" $lead "* ]] || return 0
    fi
    _kvstore_read_current || return 0
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == *[\<\>] ]]; then
        compopt -o default
    elif [[ -n $option ]]; then
        _kvstore_offer_kind "$(_kvstore_value "$option")"
    elif [[ -z $ended && $current$tail == -* ]]; then
        _kvstore_offer ${options//=/}
    elif [[ -z $command ]]; then
        _kvstore_offer_kind command
    else
        _kvstore_offer_kind "$(_kvstore_operand "$command" $((operands + 1)))"
    fi
}

complete -F _kvstore kvstore
