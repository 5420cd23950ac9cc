# SPDX-License-Identifier: MIT
#
# Completion of kvstore in fish: commands, options, their values, and the keys of
# the store.

# Reads the line as far as the current word, and sets in its caller command,
# operands, directory, option, if the current word is its value, and ended, if
# only operands can follow.
function __kvstore_read --no-scope-shadowing
    set -l valued data-dir sync timeout file if-value expires output default \
        prefix conflict-status from to limit since format
    set -l letters
    set -l part
    set -l words (commandline -opc)
    set -f command ''
    set -f operands
    set -f directory ''
    set -f option ''
    set -f ended no
    for word in $words[2..]
        if test -n "$option"
            contains -- $option -d --data-dir; and set -f directory $word
            set -f option ''
        else if test $ended = no; and string match -q -- -- $word
            test -n "$command"; and set -f ended yes
        else if test $ended = no; and string match -q -- '--*' $word
            contains -- $word --$valued; and set -f option $word
            set part (string match -r '^--data-dir=(.*)' -- $word)
            and set -f directory $part[2]
        else if test $ended = no; and string match -q -- '-?*' $word
            # The first of these letters has a value, here or in the next word.
            set letters doE
            test "$command" = set; and set letters doEf
            set part (string match -r "^-[^$letters]*([$letters])(.*)" -- $word)
            or continue
            test -z "$part[3]"; and set -f option -$part[2]
            test -n "$part[3]" -a $part[2] = d; and set -f directory $part[3]
        else if test -z "$command"
            set -f command $word
        else
            set -f ended yes
            set -fa operands $word
        end
    end
    if contains -- $command update once; and string match -q -- -- "$operands[2]"
        set -e operands[2]
    end
end

# True where options of every command can be, or those of these commands.
function __kvstore_takes
    __kvstore_read
    test $ended = no; and begin
        test (count $argv) -eq 0; or contains -- "$command" $argv
    end
end

# True if the current word is an operand that is this: command, key, when, file,
# directory, or run, a word of the command that kvstore runs.
function __kvstore_wants
    __kvstore_read
    set -l kind
    switch "$command:"(math (count $operands) + 1)
        case :1 help:1
            set kind command
        case {set,take,incr,update,once,list,export,watch}:1 mv:1 mv:2
            set kind key
        case expire:1
            set kind when
        case 'get:*' 'exists:*' 'rm:*' 'expire:*'
            set kind key
        case 'update:*' 'once:*'
            set kind run
        case batch:1 import:1
            set kind file
        case backup:1
            set kind directory
    end
    test -z "$option" -a "$kind" = $argv[1]
end

# Prints the current word as fish reads it, without an option and = in front.
function __kvstore_current
    set -l word (commandline -ct)
    string match -q '*$*' -- $word; and return 1
    begin
        string unescape -- $word
        or string unescape -- "$word'"
        or string unescape -- "$word\""
    end | string replace -r $argv[1] ''
end

# Prints keys of the store that the line names. Reads, creates nothing, waits for
# nobody, and prints nothing where there is no store or it cannot be read soon.
function __kvstore_keys
    __kvstore_read
    # What would have to be run is not known.
    string match -q '*$*' -- $directory; and return
    set -l place
    test -n "$directory"
    and set place -d (string replace -r '^~(?=/|$)' -- $HOME $directory)
    set -l lead '^$'
    test $ended = no -a -z "$option"; and set lead '^--[a-z-]+='
    set -l prefix (__kvstore_current $lead | string collect)
    set -l keys (timeout 2 kvstore -q --timeout 0 $place list -0 --limit 200 \
        -- "$prefix" 2>/dev/null </dev/null | string split0)
    for key in $keys
        # A tab would begin a description here, and elsewhere than after -- a
        # hyphen an option.
        string match -q "*\t*" -- $key; and continue
        test $ended = no -a -z "$option"; and string match -q -- '-*' $key
        and continue
        printf '%s\0' $key
    end | string split0
end

# Prints what can follow in the command that kvstore runs.
function __kvstore_run
    __kvstore_read
    complete -C (string join -- ' ' (string escape -- $operands[2..]) \
        (commandline -ct))
end

complete -c kvstore -f

complete -c kvstore -n '__kvstore_wants command' -a set -d 'store VALUE under KEY'
complete -c kvstore -n '__kvstore_wants command' -a get -d 'print the value of each KEY'
complete -c kvstore -n '__kvstore_wants command' -a exists -d 'tell by the status whether all KEYs are there'
complete -c kvstore -n '__kvstore_wants command' -a rm -d 'remove each KEY'
complete -c kvstore -n '__kvstore_wants command' -a take -d 'print the value of KEY and remove it'
complete -c kvstore -n '__kvstore_wants command' -a mv -d 'give the value of OLD the key NEW'
complete -c kvstore -n '__kvstore_wants command' -a expire -d 'give each KEY another expiry'
complete -c kvstore -n '__kvstore_wants command' -a incr -d 'add N, or 1, to a number and print the sum'
complete -c kvstore -n '__kvstore_wants command' -a update -d 'change a value by a command'
complete -c kvstore -n '__kvstore_wants command' -a once -d 'run a command unless KEY is there'
complete -c kvstore -n '__kvstore_wants command' -a batch -d 'make several changes, all or none'
complete -c kvstore -n '__kvstore_wants command' -a list -d 'print the keys, those that begin with PREFIX'
complete -c kvstore -n '__kvstore_wants command' -a export -d 'print keys and values for import'
complete -c kvstore -n '__kvstore_wants command' -a import -d 'store what export prints'
complete -c kvstore -n '__kvstore_wants command' -a watch -d 'print changes as they come'
complete -c kvstore -n '__kvstore_wants command' -a stats -d 'print what the store holds, in numbers'
complete -c kvstore -n '__kvstore_wants command' -a compact -d 'drop what is stale from the log, now'
complete -c kvstore -n '__kvstore_wants command' -a verify -d 'check every line of the log, and the index'
complete -c kvstore -n '__kvstore_wants command' -a repair -d 'move damaged lines out of the log'
complete -c kvstore -n '__kvstore_wants command' -a backup -d 'copy the store to the new directory DIR'
complete -c kvstore -n '__kvstore_wants command' -a help -d 'print help, of COMMAND where one is given'

complete -c kvstore -n '__kvstore_wants key' -ka '(__kvstore_keys)'
complete -c kvstore -n '__kvstore_wants when' -a never -d 'it stays'
complete -c kvstore -n '__kvstore_wants file' -F
complete -c kvstore -n '__kvstore_wants directory' -a '(__fish_complete_directories)'
complete -c kvstore -n '__kvstore_wants run' -a '(__kvstore_run)'

complete -c kvstore -n __kvstore_takes -s d -l data-dir -xa '(__fish_complete_directories)' -d 'where the store is'
complete -c kvstore -n __kvstore_takes -l sync -xa 'always none' -d 'when a change is done'
complete -c kvstore -n __kvstore_takes -l timeout -x -d 'how long to wait for another writer'
complete -c kvstore -n __kvstore_takes -l no-create -d 'fail if there is no store'
complete -c kvstore -n __kvstore_takes -s q -l quiet -d 'no word of what is missing, no progress'
complete -c kvstore -n __kvstore_takes -l progress -d 'show progress where there is no terminal, too'
complete -c kvstore -n __kvstore_takes -s h -l help -d 'print help and exit'
complete -c kvstore -n __kvstore_takes -s V -l version -d 'print the version and exit'

complete -c kvstore -n '__kvstore_takes set' -s i -l stdin -d 'the value is standard input'
complete -c kvstore -n '__kvstore_takes set' -s f -l file -xa '(__fish_complete_path)' -d 'the value is what FILE holds'
complete -c kvstore -n '__kvstore_takes set' -l chomp -d 'without one newline at the end of what is read'
complete -c kvstore -n '__kvstore_takes set' -l allow-empty -d 'standard input may be without a byte'
complete -c kvstore -n '__kvstore_takes set mv batch import' -l if-absent -d 'only where the key is not there'
complete -c kvstore -n '__kvstore_takes set update' -l if-present -d 'only if the key is there'
complete -c kvstore -n '__kvstore_takes set rm' -l if-value -x -d 'only if this is the value of the key'
complete -c kvstore -n '__kvstore_takes set incr update once' -l expires -xa 'never keep' -d 'when it is gone'
complete -c kvstore -n '__kvstore_takes get take update' -s r -l raw -d 'exact bytes, no newline added'
complete -c kvstore -n '__kvstore_takes get take' -s k -l with-keys -d 'lines of key, tab and value'
complete -c kvstore -n '__kvstore_takes get export' -s o -l output -xa '(__fish_complete_path)' -d 'print to FILE, replaced at the end'
complete -c kvstore -n '__kvstore_takes get' -l default -x -d 'print V for a key, or a store, that is missing'
complete -c kvstore -n '__kvstore_takes rm expire' -s f -l force -d 'what is missing is no error'
complete -c kvstore -n '__kvstore_takes rm take' -l prefix -xa '(__kvstore_keys)' -d 'keys that begin with P'
complete -c kvstore -n '__kvstore_takes rm' -l all -d 'all keys of the store'
complete -c kvstore -n '__kvstore_takes once' -l release -d 'remove the key when CMD has succeeded, too'
complete -c kvstore -n '__kvstore_takes once' -s E -l conflict-status -x -d 'return N, not 4, if the key is there'
complete -c kvstore -n '__kvstore_takes list' -l values -d 'lines of key, tab and value'
complete -c kvstore -n '__kvstore_takes list' -l from -xa '(__kvstore_keys)' -d 'from this key on'
complete -c kvstore -n '__kvstore_takes list' -l to -xa '(__kvstore_keys)' -d 'up to this key and without it'
complete -c kvstore -n '__kvstore_takes list' -l reverse -d 'the last key first'
complete -c kvstore -n '__kvstore_takes list watch' -l limit -x -d 'N of them at most'
complete -c kvstore -n '__kvstore_takes list' -l count -d 'print how many keys they are'
complete -c kvstore -n '__kvstore_takes watch' -l since -xa start -d 'all keys first, then what is new'
complete -c kvstore -n '__kvstore_takes batch export import watch' -l format -xa 'ndjson log tsv resp' -d 'name of the format'
complete -c kvstore -n '__kvstore_takes get take list watch stats' -l json -d 'print JSON, an object a line'
complete -c kvstore -n '__kvstore_takes get take batch list export import' -s 0 -l null -d 'exact bytes, a NUL after each'
