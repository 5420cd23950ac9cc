# SPDX-License-Identifier: MIT
#
# The word of another program, or a mistyped one, is a usage error that says what
# the word is here. Nothing is done.

. "$(dirname "$0")/support.sh"
kvstore set key value
cp data/store.log before

# suggested WORD TEXT: the command WORD is answered with TEXT.
suggested() {
    expect_status 2 kvstore "$1" key other
    expect_stdout
    expect_stderr "kvstore: unknown command '$1': did you mean '$2'?" \
        "kvstore: try 'kvstore --help'"
    expect_status 2 kvstore help "$1"
    expect_stderr_match "unknown command '$1': did you mean '$2'?"
}

for word in put store PUT SET sett se 'set '; do
    suggested "$word" set
done
for word in del delete unset remove DEL rmm; do
    suggested "$word" rm
done
for word in keys ls scan lst listt; do
    suggested "$word" list
done
for word in mget fetch gte GET; do
    suggested "$word" get
done
for word in vacuum gc merge compcat; do
    suggested "$word" compact
done
for word in check fsck verfy; do
    suggested "$word" verify
done
for word in info status stat; do
    suggested "$word" stats
done
for pair in has:exists rename:mv ttl:expire touch:expire persist:expire pop:take \
    getdel:take mset:batch multi:batch txn:batch dump:export load:import \
    restore:import lock:once run:once subscribe:watch follow:watch tail:watch \
    wathc:watch; do
    suggested "${pair%:*}" "${pair#*:}"
done
suggested copy "get' and 'set"
suggested decr 'incr KEY -1'
suggested count 'list --count'
cmp -s before data/store.log || fail 'something was done'

# A word that means nothing here gets no suggestion.
for word in '' - x frobnicate aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
    expect_status 2 kvstore "$word"
    expect_stderr "kvstore: unknown command '$word'" \
        "kvstore: try 'kvstore --help'"
done

# What is suggested exists: help knows the first word of it.
for word in put store del delete unset remove keys ls scan mget fetch has rename \
    copy ttl touch persist expire pop getdel decr mset multi txn dump load \
    restore lock run subscribe follow tail vacuum gc merge check fsck info \
    status count; do
    expect_status 2 kvstore "$word"
    meant=$(sed -n "s/.*did you mean '\\([a-z]*\\).*/\\1/p" \
        "$scratch/capture/stderr")
    [ -z "$meant" ] || expect_status 0 kvstore help "$meant"
done

# Also the options of other stores.
for pair in nx:if-absent xx:if-present cas:if-value ttl:expires ex:expires; do
    expect_status 2 kvstore set "--${pair%:*}" key other
    expect_stderr "kvstore: unknown option '--${pair%:*}': did you mean \
'--${pair#*:}'?" "kvstore: try 'kvstore set --help'"
done
cmp -s before data/store.log || fail 'something was done'

# Long options, too; those of the command at hand.
expect_status 2 kvstore --quite get key
expect_stderr "kvstore: unknown option '--quite': did you mean '--quiet'?" \
    "kvstore: try 'kvstore --help'"
expect_status 2 kvstore get --rwa key
expect_stderr_match "unknown option '--rwa': did you mean '--raw'?"
expect_status 2 kvstore rm --timeuot=5 key
expect_stderr_match "unknown option '--timeuot': did you mean '--timeout'?"
expect_status 2 kvstore rm --rwa key
expect_stderr "kvstore: unknown option '--rwa'" \
    "kvstore: try 'kvstore rm --help'"
