#!/bin/sh
# SPDX-License-Identifier: MIT
#
# While no process has the store open, store.log is exchanged for another one of
# the same length and with the same last line, or edited in place, and
# store.index is kept. Whatever comes first then, the answers are those of the
# log that is there, as awk reads it, and no compaction loses a key. Uses file
# systems of its own where root can mount them, since each assigns inode numbers
# in its own way; elsewhere, the one that holds temporary files.
#
# After an edit in place that leaves the index, a get may serve what was
# indexed, if that line is still there, or not find a key that was not; until a
# compaction.

if [ "${KVSTORE_OWN_MOUNTS:-}" = yes ] ||
    { [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; }; then
    . "$(dirname "$0")/support.sh"
    can_mount=yes
else
    . "$(dirname "$0")/../cli/support.sh"
    : "${KEPT_OPEN:?the path of the program}"
    can_mount=no
fi
: "${SET_AND_COMPACT:?the path of the program}"
need awk dd tar sed sort
LC_ALL=C
KVSTORE_SYNC=none
export LC_ALL KVSTORE_SYNC

# --- The model

# fold LOG: what the keys of a log come to, a line "key value" each.
fold() {
    awk -F '"' '
        $2 == "Set" { value[$6] = $10 }
        $2 == "Remove" { delete value[$6] }
        END { for (key in value) print key, value[key] }
    ' "$1" | sort
}

# value_in MODEL KEY: nothing if it is absent. No value here is empty.
value_in() {
    sed -n "s/^$2 //p" "$1"
}

# change_model KEY [VALUE]
change_model() {
    sed -i "/^$1 /d" model
    [ $# -eq 1 ] || echo "$1 $2" >>model
    sort -o model model
}

all_keys='aa bb cc dd ee ff gg hh ii jj gone12345 new zz'

# What one handle of the library answers for all keys, a line each.
get_all() {
    printf 'get %s\n' $all_keys | "$KEPT_OPEN" none data |
        sed '1d; s/^ok //; s/^failed key not found$/absent/' >answers
}

# check_answers WHEN: the answers must be those of the model; or, by the rule of
# edits in place, those that were indexed.
check_answers() {
    last_command="gets $1"
    printf '%s\n' $all_keys | paste -d ' ' - answers >answered
    awk -v rule="$rule" -F '[ "]' '
        FILENAME == "now.log" { there[$6 " " $10] = 1 }
        FILENAME == "model" { wanted[$1] = $2 }
        FILENAME == "indexed" { indexed[$1] = $2 }
        FILENAME != "answered" { next }
        {
            wish = $1 in wanted ? wanted[$1] : "absent"
            known = $1 in indexed ? indexed[$1] : "absent"
            good = $0 == $1 " " wish || (rule == "in-place" && $2 == known &&
                (known == "absent" || ($1 " " known) in there))
            if (!good) {
                print "get " $1 " says " substr($0, length($1) + 2) \
                    ", not " wish
                exit
            }
        }
    ' now.log model indexed answered >wrong
    [ ! -s wrong ] || fail "$1: $(cat wrong)"
}

check_gets() {
    get_all
    check_answers "$1"
}

# A get by the command, judged in the same way.
check_get() {
    actual=0
    answer=$(kvstore get "$1" 2>"$scratch/capture/stderr") || actual=$?
    case $actual in
    0) ;;
    1) answer=absent ;;
    *) fail "get $1 ends with status $actual" ;;
    esac
    for key in $all_keys; do
        wish=$(value_in model "$key")
        [ "$key" != "$1" ] || wish=$answer
        echo "${wish:-absent}"
    done >answers
    check_answers "of the command"
}

check_list() {
    last_command=list
    kvstore list >keys 2>"$scratch/capture/stderr" || fail 'list fails'
    sed 's/ .*//' model >wanted_keys
    cmp -s wanted_keys keys || fail "list prints $(tr '\n' ' ' <keys)"
}

check_verify() {
    actual=0
    last_command=verify
    kvstore verify >"$scratch/capture/stdout" 2>"$scratch/capture/stderr" ||
        actual=$?
    case $actual-$rule in
    0-* | 6-in-place) ;;
    *) fail "verify ends with status $actual" ;;
    esac
}

# --- What the log was, and what it becomes

write_old_log() {
    cat >old.log <<'END'
{"Set":{"key":"aa","val":"1"}}
{"Set":{"key":"bb","val":"1"}}
{"Set":{"key":"aa","val":"2"}}
{"Set":{"key":"bb","val":"2"}}
{"Set":{"key":"cc","val":"1"}}
{"Set":{"key":"dd","val":"1"}}
{"Set":{"key":"gone12345","val":"1"}}
{"Remove":{"key":"gone12345"}}
{"Set":{"key":"zz","val":"9"}}
END
}

changes='values stale-key newest-key stale-becomes-newest newest-becomes-stale
    swapped swapped-in-key remove-becomes-set set-becomes-remove many-keys'

# change_log CHANGE: new.log, of the same length and with the same last line.
change_log() {
    case $1 in
    values) sed '3s/"2"/"7"/; 5s/"1"/"8"/' old.log ;;
    stale-key) sed '1s/aa/ff/' old.log ;;
    newest-key) sed '3s/aa/ff/' old.log ;;
    stale-becomes-newest) sed '5s/cc/aa/' old.log ;;
    newest-becomes-stale) sed '3s/aa/cc/' old.log ;;
    swapped) awk '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++)
        print line[i == 3 ? 5 : i == 5 ? 3 : i] }' old.log ;;
    swapped-in-key) awk '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++)
        print line[i == 1 ? 3 : i == 3 ? 1 : i] }' old.log ;;
    remove-becomes-set) sed '8s/.*/{"Set":{"key":"ee","val":"1"}}/' old.log ;;
    set-becomes-remove) sed '6s/.*/{"Remove":{"key":"dd"       }}/' old.log ;;
    many-keys) sed '3s/aa/gg/; 4s/bb/hh/; 5s/cc/ii/; 6s/dd/jj/' old.log ;;
    esac >new.log
    [ "$(wc -c <old.log)" -eq "$(wc -c <new.log)" ] || fail "$1 changes the size"
    if cmp -s old.log new.log; then
        fail "$1 changes nothing"
    fi
}

ways='tar copy remove-and-copy move two-seds git in-place'

exchange() {
    case $1 in
    tar)
        cp new.log store.log
        tar cf new.tar store.log
        tar xf new.tar -C data
        ;;
    copy) cp --remove-destination new.log data/store.log ;;
    remove-and-copy)
        rm data/store.log
        cp new.log data/store.log
        ;;
    move)
        cp new.log data/other
        mv data/other data/store.log
        ;;
    two-seds)
        # The second sed often gets the inode number that the first one freed.
        diff old.log new.log | sed -n 's/^> //p' >lines
        awk 'NR == FNR { old[NR] = $0; next }
            $0 != old[FNR] { print FNR "c\\\n" $0 }' old.log new.log >script
        sed -i 's/NOT THERE//' data/store.log
        sed -i -f script data/store.log
        ;;
    git) git_there checkout -q new ;;
    in-place) dd if=new.log of=data/store.log conv=notrunc 2>/dev/null ;;
    esac
    cmp -s new.log data/store.log || fail "$1 does not exchange the log"
}

git_there() {
    HOME=$scratch git -C data -c user.name=test -c user.email=test@localhost \
        -c core.fsync=none "$@"
}

# The log that is old on one branch, and new on another.
lay_branches() {
    git_there init -q -b old
    echo '/store.index' >data/.git/info/exclude
    cp new.log data/store.log
    git_there add store.log
    git_there commit -q -m new
    git_there branch new
    cp old.log data/store.log
    git_there commit -q -a -m old
}

# --- The cases

firsts_of_all='get set compact automatic'
firsts='get set overwrite rm compact automatic verify list'

# Does what comes first after the exchange.
do_first() {
    last_command=$1
    case $1 in
    get) check_get aa ;;
    set)
        expect_status 0 kvstore set new 5
        change_model new 5
        ;;
    overwrite)
        expect_status 0 kvstore set aa 5
        change_model aa 5
        ;;
    rm)
        actual=0
        kvstore rm aa 2>"$scratch/capture/stderr" || actual=$?
        case $actual in
        0) change_model aa ;;
        1) [ -z "$(value_in model aa)" ] || fail 'rm aa finds nothing' ;;
        *) fail "rm aa ends with status $actual" ;;
        esac
        ;;
    compact)
        expect_status 0 kvstore compact
        rule=exact
        ;;
    automatic)
        expect_status 0 "$SET_AND_COMPACT" data new 5
        change_model new 5
        ;;
    verify) check_verify ;;
    list) check_list ;;
    esac
}

# try_case WAY CHANGE FIRST
try_case() {
    rule=exact
    [ "$1" != in-place ] || rule=in-place
    rm -rf data
    mkdir data
    change_log "$2"
    if [ "$1" = git ]; then
        lay_branches
    else
        cp old.log data/store.log
    fi
    kvstore get aa >/dev/null
    kvstore get zz >/dev/null
    [ -e data/store.index ] || fail 'there is no index'
    fold data/store.log >indexed
    exchange "$1"
    cp data/store.log now.log
    fold now.log >model

    do_first "$3"
    check_gets 'before a compaction'
    check_list
    check_verify
    expect_status 0 kvstore compact
    rule=exact
    check_gets 'after a compaction'
    check_list
    check_verify
    fold data/store.log >now.model
    cmp -s model now.model || fail 'the compacted log is another store'
    rm data/store.index
    check_gets 'with a new index'
}

failures=0

# attempt NAME FUNCTION...: goes on with the next case if one fails.
attempt() {
    case_name="$disk, $1"
    shift
    (
        set -eu
        "$@"
    ) 2>"$scratch/case_stderr"
    [ $? -ne 0 ] || return 0
    failures=$((failures + 1))
    {
        echo "--- $case_name"
        cat "$scratch/case_stderr"
    } >&2
}

try_all_cases() {
    write_old_log
    for way in $chosen_ways; do
        # The result of an edit in place does not depend on the file system.
        [ "$way-$tried" != in-place-yes ] || continue
        if [ "$way" = git ] && ! command -v git >/dev/null; then
            echo 'not tried: there is no git'
            continue
        fi
        for change in $changes; do
            chosen=$firsts
            if [ "$way" != in-place ]; then
                case $change in
                newest-key | swapped | many-keys) ;;
                *) continue ;;
                esac
                chosen=$firsts_of_all
            fi
            for first in $chosen; do
                attempt "$way, $change, $first first" \
                    try_case "$way" "$change" "$first"
            done
        done
    done
}

# --- Small logs that were broken once

# A stale line, or the newest one, gets the key b.
key_of_a_line_becomes_b() {
    rm -rf data
    mkdir data
    printf '{"Set":{"key":"%s","val":"%s"}}\n' a 1 a 2 z 3 >data/store.log
    expect_value a 2
    printf b | dd of=data/store.log bs=1 seek="$1" conv=notrunc 2>/dev/null
    expect_status 0 kvstore compact
    expect_value a "$2"
    expect_value b "$3"
    expect_value z 3
}

two_seds_are_noticed() {
    rm -rf data
    mkdir data
    printf '{"Set":{"key":"%s","val":"%s"}}\n' \
        user old tmp1 new zzzz end >data/store.log
    expect_value user old
    sed -i s/tmp1/user/ data/store.log
    sed -i s/new/NEW/ data/store.log
    expect_value user NEW
    expect_absent tmp1
}

many_keys_by_tar() {
    rm -rf data
    mkdir data
    awk 'BEGIN { for (i = 0; i < 12000; i++)
        printf "{\"Set\":{\"key\":\"key-%05d\",\"val\":\"%d\"}}\n", i, i % 10
    }' >data/store.log
    expect_value key-00000 0
    expect_value key-11999 9
    sed '/key-[0-9]*[02468]"/s/key-/yek-/; 12000s/yek/key/' data/store.log \
        >store.log
    tar cf new.tar store.log
    tar xf new.tar -C data
    cut -d '"' -f 6 store.log | sort >wanted_keys
    expect_status 0 kvstore set key-00001 1
    expect_value yek-00000 0
    expect_absent key-00002
    expect_status 0 kvstore compact
    expect_status 0 kvstore list
    cmp -s wanted_keys "$scratch/capture/stdout" || fail 'keys are lost'
    expect_status 0 kvstore verify
    cut -d '"' -f 6 data/store.log | sort | cmp -s wanted_keys - ||
        fail 'the compacted log has other keys'
    expect_value yek-11998 8
}

exchanged_lines_are_found() {
    rm -rf data
    mkdir data
    printf '{"Set":{"key":"%s","val":"%s"}}\n' a 1 b 2 z 3 >data/store.log
    expect_value a 1
    printf '{"Set":{"key":"%s","val":"%s"}}\n' b 2 a 1 |
        dd of=data/store.log conv=notrunc 2>/dev/null
    expect_status 0 kvstore get a
    expect_stdout 1
    expect_stderr_match 'the index was not true to store.log'
    expect_value b 2
    expect_status 0 kvstore set c 4
    expect_value a 1
}

# The command's own compaction, when a mebibyte is stale.
command_compacts_what_was_edited() {
    rm -rf data
    mkdir data
    awk 'BEGIN { for (i = 0; i < 30000; i++)
        printf "{\"Set\":{\"key\":\"key-%03d\",\"val\":\"%09d\"}}\n",
            i % 500, i }' >data/store.log
    expect_value key-000 000029500
    # Some stale lines, and some of the newest, get a key of their own.
    sed '7000~1000s/key-/old-/; 29610~50s/key-/new-/; 30000s/old-/key-/' \
        data/store.log >new.log
    dd if=new.log of=data/store.log conv=notrunc 2>/dev/null
    fold new.log | sed 's/ .*//' >wanted_keys
    grep -q old wanted_keys && grep -q new wanted_keys || fail 'nothing edited'
    size=$(wc -c <new.log)
    expect_status 0 kvstore set key-001 again
    [ "$(wc -c <data/store.log)" -lt "$size" ] || fail 'it was not compacted'
    expect_status 0 kvstore list
    cmp -s wanted_keys "$scratch/capture/stdout" || fail 'keys are lost'
    rm data/store.index
    expect_status 0 kvstore list
    cmp -s wanted_keys "$scratch/capture/stdout" || fail 'keys are gone'
    expect_value key-001 again
}

# --- A log with two names

# expect_refused COMMAND...: and the message names the cure.
expect_refused() {
    expect_status 3 "$@"
    expect_stdout
    expect_stderr_match 'name'
    cmp -s one_log data/store.log || fail 'a refused write has written'
}

hard_links_are_not_written() {
    rm -rf data snap
    expect_status 0 kvstore set a 1
    expect_status 0 kvstore set b 2
    cp data/store.log one_log
    cp -al data snap
    for place in data snap; do
        expect_refused kvstore -d $place set a 3
        expect_refused kvstore -d $place set c 3
        expect_refused kvstore -d $place rm a
        expect_refused kvstore -d $place compact
        expect_status 0 kvstore -d $place get a
        expect_stdout 1
        expect_status 0 kvstore -d $place list
        expect_stdout a b
        expect_status 0 kvstore -d $place verify
        expect_status 0 kvstore -d $place stats
        expect_status 1 "$SET_AND_COMPACT" $place a 3
        expect_stdout_match '^failed .*name'
    done
    cmp -s one_log data/store.log || fail 'the log has changed'
    rm -f snap/store.index
    expect_refused kvstore -d snap set a 3
    expect_status 0 kvstore -d snap get b
    expect_stdout 2

    # The cure: a log of its own.
    cp snap/store.log snap/other
    mv snap/other snap/store.log
    expect_status 0 kvstore -d snap set a snap
    expect_status 0 kvstore set a data
    expect_value a data
    expect_status 0 kvstore -d snap get a
    expect_stdout snap
}

handle_meets_a_second_name() {
    [ "$can_mount" = yes ] || return 0
    rm -rf data snap
    keep one always data
    expect_answer ok one set a 1
    cp data/store.log one_log
    ln data/store.log second
    ask one set a 2
    case $answer in
    failed*name*) ;;
    *) fail "'$answer' of a log with two names" ;;
    esac
    expect_answer 'ok 1' one get a
    cmp -s one_log data/store.log || fail 'the log has changed'
    rm second
    expect_answer ok one set a 2
    expect_answer 'ok 2' one get a
    release one
    expect_value a 2
}

# --- A log that was moved away

# expect_away COMMAND...
expect_away() {
    expect_status 3 "$@"
    expect_stdout
    expect_stderr_match 'store.index'
    [ "$(ls data)" = store.index ] || fail "there is now: $(ls data)"
}

moved_log_is_not_replaced() {
    rm -rf data away
    expect_status 0 kvstore set a 1
    expect_status 0 kvstore get a
    mv data/store.log away
    expect_away kvstore set a 2
    expect_away kvstore set b 2
    expect_away kvstore get a
    expect_away kvstore get b
    expect_away kvstore rm a
    expect_away kvstore list
    expect_away kvstore stats
    expect_away kvstore verify
    expect_away kvstore compact
    expect_away kvstore repair
    # Those for which a missing store is no failure.
    if kvstore get --help | grep -q -e --default; then
        expect_away kvstore get --default x a
        expect_away kvstore rm -f a
    fi
    mv away data/store.log
    expect_value a 1
    expect_status 0 kvstore set a 2
    expect_value a 2

    mv data/store.log away
    expect_away kvstore set a 3
    rm data/store.index
    expect_status 3 kvstore get a
    expect_nothing_at data/store.log
    expect_status 0 kvstore set b 3
    expect_value b 3
    expect_absent a
}

# Nothing that is acknowledged is lost: it is in the log that is brought back.
handle_meets_a_moved_log() {
    [ "$can_mount" = yes ] || return 0
    rm -rf data away
    keep one always data
    expect_answer ok one set a 1
    mv data/store.log away
    ask one set a 2
    case $answer in
    ok) last=2 ;;
    *) last=1 ;;
    esac
    expect_nothing_at data/store.log
    mv away data/store.log
    expect_answer "ok $last" one get a
    expect_answer ok one set b 3
    release one
    expect_value a "$last"
    expect_value b 3
}

# --- All of it

try_all() {
    echo "$disk:"
    chosen_ways=$ways
    [ "$disk" != small-inodes ] || chosen_ways=tar
    begun=$failures
    try_all_cases
    attempt 'key of a stale line' key_of_a_line_becomes_b 15 2 1
    attempt 'key of a newest line' key_of_a_line_becomes_b 45 1 2
    attempt 'two seds' two_seds_are_noticed
    attempt '12,000 keys by tar' many_keys_by_tar
    attempt 'two lines exchanged' exchanged_lines_are_found
    attempt 'compaction after a set' command_compacts_what_was_edited
    attempt 'cp -al' hard_links_are_not_written
    attempt 'second name of an open log' handle_meets_a_second_name
    attempt 'log moved away' moved_log_is_not_replaced
    attempt 'open log moved away' handle_meets_a_moved_log
    echo "  $((failures - begun)) cases failed"
    tried=yes
}

# try_disk NAME TYPE SIZE [OPTION...]
try_disk() {
    disk=$1
    mount_file "$@" || return 0
    cd "$disk"
    try_all
    cd ..
    umount "$disk" || umount -l "$disk"
}

tried=no
set +e
if [ "$can_mount" = yes ]; then
    try_disk tmpfs tmpfs 24M
    try_disk ext4 ext4 24M
    # Without the times of birth.
    try_disk small-inodes ext4 24M -I 128
    try_disk xfs xfs 300M
fi
if [ "$tried" = no ]; then
    disk='where temporary files are'
    try_all
fi
[ "$failures" -eq 0 ] || fail "$failures cases"
