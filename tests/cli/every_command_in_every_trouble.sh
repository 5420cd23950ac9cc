# SPDX-License-Identifier: MIT
#
# Every command in every trouble: one table of what each returns. A dash is for
# what does not concern it, or is another test's.

. "$(dirname "$0")/support.sh"
need flock

# The columns: the status without a store; for a key that is missing; while
# another process has the lock; if the key's newest line is damaged; without the
# right to write; if standard output is full; and how it is called. KEY stands
# for a key, whose value is 5. Standard input is a record.
cat >table <<'END'
0 0 5 0 3 0 set KEY new
4 4 5 6 3 0 set --if-present KEY new
4 4 5 6 3 0 set --if-value 5 KEY new
0 0 5 6 3 0 set --expires keep KEY new
3 1 0 6 0 3 get KEY
0 0 0 6 0 3 get --default x KEY
3 1 0 6 0 3 get --json KEY
3 1 0 6 0 0 exists KEY
3 1 5 0 3 0 rm KEY
0 0 5 0 3 0 rm -f KEY
3 4 5 6 3 0 rm --if-value 5 KEY
3 0 5 0 3 0 rm --prefix KEY
3 0 5 0 3 0 rm --all
3 1 5 6 3 3 take KEY
3 1 5 6 3 3 take --prefix KEY
3 1 5 6 3 0 mv KEY other
3 1 5 6 3 0 expire 1h KEY
0 0 5 6 3 3 incr KEY
0 0 5 6 3 0 update KEY echo new
0 0 125 - 125 0 once --release other true
0 0 5 0 3 0 batch
0 0 5 0 3 0 import
3 0 0 0 0 3 list
3 0 0 6 0 3 list --values
3 0 0 0 0 3 list --count
3 0 0 6 0 3 export
3 0 0 6 0 3 export --format log
3 0 0 6 0 3 export --format tsv
3 0 0 6 0 3 export --format resp
3 0 0 6 0 3 watch --since start --limit 1
3 0 0 0 0 3 stats
3 0 5 0 3 0 compact
3 0 0 6 0 0 verify
3 0 5 0 3 0 repair
3 0 0 - 0 0 backup copy
0 0 0 0 0 3 help
END

record='{"key":"other","value":"9"}'
cp "$KVSTORE" program
chmod 755 "$scratch" "$scratch/work" program
before_clean_up() {
    chmod -R u+rwx . 2>/dev/null || :
}

# A fresh store: KEY, and one more.
prepare() {
    rm -rf data copy
    kvstore set --expires @4102444800 key 5
    kvstore set zero 0
}

# run STATUS WORD...: runs the command on a record.
run() {
    wanted=$1
    shift
    actual=0
    last_command=$*
    echo "$record" | "$@" >"$scratch/capture/stdout" \
        2>"$scratch/capture/stderr" || actual=$?
    [ "$actual" -eq "$wanted" ] || fail "$trouble: status $actual, not $wanted"
    if grep -v '^kvstore: ' "$scratch/capture/stderr" >&2; then
        fail "$trouble: a line on stderr does not begin with kvstore:"
    fi
}

can_be_another=no
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null &&
    setpriv --reuid 65534 --clear-groups ./program -V >/dev/null 2>&1; then
    can_be_another=yes
fi

while read -r absent missing busy damaged closed full command words; do
    set -- $(echo "$words" | sed 's/KEY/key/')

    trouble='no store'
    rm -rf data copy
    run "$absent" "$KVSTORE" "$command" "$@"
    if [ "$absent" -ge 3 ]; then
        expect_nothing_at data
    fi

    trouble='a missing key'
    prepare
    case $command in
    watch) ;;
    *)
        kvstore rm key
        kvstore rm zero
        run "$missing" "$KVSTORE" "$command" "$@"
        ;;
    esac

    trouble='a busy store'
    prepare
    (
        flock 9
        run "$busy" "$KVSTORE" --timeout 0 "$command" "$@"
    ) 9<data || exit 1

    if [ "$damaged" != - ]; then
        trouble='a damaged line'
        prepare
        sed -i 's/"val":"5"/"val":"6"/' data/store.log
        rm data/store.index
        run "$damaged" "$KVSTORE" "$command" "$@"
    fi

    if [ $can_be_another = yes ]; then
        trouble='no right to write'
        prepare
        chmod 755 data
        chmod 644 data/store.log data/store.index
        mkdir -p open
        chmod 777 open
        case $command in
        backup) run "$closed" setpriv --reuid 65534 --clear-groups \
            ./program backup open/copy ;;
        *) run "$closed" setpriv --reuid 65534 --clear-groups \
            ./program "$command" "$@" ;;
        esac
        rm -rf open
    fi

    if [ -c /dev/full ]; then
        trouble='a full standard output'
        prepare
        run "$full" sh -c '"$0" "$@" >/dev/full' "$KVSTORE" "$command" "$@"
    fi

    # Closed streams are like full ones, and nothing is written to the store
    # through them.
    for stream in 0 1 2; do
        trouble="descriptor $stream closed"
        prepare
        status=0
        case $stream in
        0)
            sh -c '"$0" "$@" <&-' "$KVSTORE" "$command" "$@" \
                >/dev/null 2>&1 || status=$?
            case $command in
            batch | import) wanted=3 ;;
            *) wanted=0 ;;
            esac
            ;;
        1)
            echo "$record" | sh -c '"$0" "$@" >&-' "$KVSTORE" "$command" "$@" \
                2>/dev/null || status=$?
            wanted=$full
            [ "$command" != backup ] || wanted=0
            ;;
        2)
            echo "$record" | sh -c '"$0" "$@" 2>&-' "$KVSTORE" "$command" "$@" \
                >/dev/null || status=$?
            wanted=0
            ;;
        esac
        last_command="$command $*"
        [ "$status" -eq "$wanted" ] || fail "$trouble: $status, not $wanted"
        kvstore verify || fail "$trouble: the store is damaged"
    done

    trouble='an unknown option'
    run 2 "$KVSTORE" "$command" --frobnicate "$@"
    expect_stdout
    trouble='an option in front of the command'
    run 2 "$KVSTORE" --frobnicate "$command" "$@"
    trouble='help'
    run 0 "$KVSTORE" "$command" --help
    expect_stderr

    # Keys that cannot be.
    case " $words " in
    *--prefix*) ;;
    *' KEY '*)
        prepare
        long=$(head -c 65536 /dev/zero | tr '\0' k)
        for key in '' "$long"; do
            trouble="a key of ${#key} bytes"
            set --
            for word in $words; do
                [ "$word" != KEY ] || word=$key
                set -- "$@" "$word"
            done
            run 2 "$KVSTORE" "$command" "$@"
            expect_stdout
        done
        ;;
    esac
done <table

# All commands are in the table.
kvstore --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' | sort >known
awk '{ print $7 }' table | sort -u | diff known - >&2 ||
    fail 'a command is not in the table'
