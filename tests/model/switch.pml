/* SPDX-License-Identifier: MIT */

/* How an index takes the place of another one, and a log that of another one,
 * while all processes have the old ones mapped: kv_switch_run(), in growth, in a
 * build, in a compaction; and how whoever has the lock next completes what a dead
 * process began (store/switch.c, store/shared.c, index/grow.c).
 *
 * What is modelled, with the function that each step stands for beside it:
 * - Stores as in buffer.pml. Names of files and their syncs are seen at once,
 *   earlier than stores that came before them.
 * - The lock of writers. Who has it is the handle that stays open, or a process
 *   that has just opened the store: one after the other, played by one process.
 *   It grows the index, compacts, or appends, as often as it likes, and may die
 *   at each step; or the new index cannot be named.
 * - A reader, of another process, that asks for one thing after the other.
 * - Somebody who deletes store.index at any moment.
 * - Time: a handle may trust the names for 10 ms, as long as it likes here, unless
 *   somebody has waited 50 ms meanwhile.
 * - Beside another holder, without a reader: a sync without the lock that fails.
 *
 * What is not: how a writer publishes (publishing.pml, batches.pml), so an index
 * has one slot, and that says what is applied; how a table is copied; torn lines;
 * private indexes; an index of another boot; more than one compaction.
 *
 * What is promised:
 * - A get finds what was acknowledged before it began, and never again anything
 *   older than it has found.
 * - Whoever has brought its pair up to date has the log that has the name, with
 *   all that is acknowledged, and an index that has all of the log.
 * - What is acknowledged is in each log that may have the name after a power cut.
 * - What has the name of the index is never superseded: a death costs no build.
 * - Once kvstore_sync() has failed, nothing is appended to that log. */

#define MOST_BY_DEFAULT 2
#define MOST_FOR_SWAPPED 2

/* Alone: beside a sync that fails. */
#define BESIDE_SYNC 50

/* Wrong, beside gets and somebody who deletes the index: each must be found. */
#define LIVE_BEFORE_DIRECTORY_SYNC 1
#define NO_DIRECTORY_SYNC 2
#define SUPERSEDED_BEFORE_NAME 3
#define COPIED_AFTER_NAME 4
#define BORN_LIVE 5
#define WRITING_NOT_COPIED 6
#define COMPLETED_FOR_ANOTHER_LOG 7
#define COMPLETED_WITHOUT_SYNC 8
#define COMPLETED_WITHOUT_WAIT 9
#define BUILT_WITHOUT_WAIT 10
#define OLD_NOT_SWITCHING 11
#define SWITCHING_AFTER_LOG 12
#define LOST_NOT_TOLD 13
#define OLD_KEEPS_NAME 14
#define SWITCHING_TAKEN_FOR_LIVE 15
#define SWITCHING_WRITTEN_TO 16
#define NAMES_NOT_LOOKED_AT 17
#define CLOCK_READ_AFTER_LOOK 18
#define COMPLETED_WITHOUT_LINES 19

/* Wrong, beside a sync that fails: each must be found. */
#define POISON_COPIED_AFTER_NAME 51
#define STATES_RELAXED 53
#define STATE_LOADED_BEFORE_POISON 54
#define SUCCESSOR_NOT_POISONED 55
#define SUCCESSOR_POISONED_WITHOUT_LOCK 56

/* Harmless: none of these is found, alone or with all others.
 * - A table whose log is said to go on is looked at once more.
 * - Who finds SWITCHING compares the names, as who finds SUPERSEDED does.
 * - Who poisons an index too late to be copied finds that it is not LIVE, and gets
 *   at its successor under the lock. (If it does not get the lock in time, the
 *   second copy is what helps.) */
#define WRITING_BORN_APPENDING 101
#define OLD_STAYS_SWITCHING 102
#define POISON_NOT_COPIED_AGAIN 152
#define ALL_HARMLESS_BESIDE_SYNC 199

/* Slow, and harmless: */
#define ALL_HARMLESS 149

#define is_beside_sync c_expr { swapped / 50 % 2 == 1 }
#define is_harmless(name) \
    (is(name) || is(ALL_HARMLESS) || is(ALL_HARMLESS_BESIDE_SYNC))

#define FILES 3 /* Or fewer: MOST. */
#define LINES 2
#define ROOM 2

/* The words of an index file. NEWEST is the slot of the only key, and says up to
 * where the log is applied: how these two go together is publishing.pml's. */
#define STATE(file) (4 * (file))
#define WRITING(file) (4 * (file) + 1)
#define NEWEST(file) (4 * (file) + 2)
#define POISON(file) (4 * (file) + 3)
#define WORDS (4 * FILES)
#define NONE FILES

#define SUPERSEDED 0
#define SWITCHING 1
#define LIVE 2

#define AT_REST 0
#define APPENDING 1
#define PUBLISHING 2

#define OLD_LOG 0
#define NEW_LOG 1

/* What comes after a switch. */
#define READY 0
#define FOLD 1
#define REST 2

/* Whoever finds the name must be able to go on: so what has it is never
 * superseded. */
#define check_memory \
    assert(named == NONE || word[STATE(named)] != SUPERSEDED)

#include "swapped.pml"

byte files;              /* So many have been named. */
byte named;              /* store.index is this one. */
byte belongs[FILES];     /* The log of each. */
byte log_named;          /* store.log is this one; */
byte log_synced;         /* after a power cut it may also be this one. */
byte newest[2];          /* The last line of each log. */
byte acknowledged;       /* The newest line that is. */
byte mapped;             /* The index of a handle that stays open for writing;
                            the log of the pair is that of the index. */
bool is_fresh;           /* It has looked at the names within 10 ms. */
byte reader_pair;
byte reader_next = NONE; /* What it is about to open. */
bool is_reader_fresh;
byte syncer_pair = NONE;
bool is_held;            /* The writers' lock. */
bool is_told;            /* A sync of the old log has failed, and its caller
                            knows. */

#include "buffer.pml"

#define or_die   \
    if           \
    :: goto died \
    :: skip      \
    fi

/* kv_io_sleep_ns(KV_GRACE_NS) */
inline wait_for_others()
{
    d_step {
        is_fresh = false;
        is_reader_fresh = false
    }
}

/* kv_store_told_table() */
#define told(file) (named == (file) -> (file) : NONE)

inline tell_others(state)
{
    when(old != NONE, store(RELEASE, STATE(old), state));
    when(lost != NONE, store(RELEASE, STATE(lost), state))
}

/* The load waits for the store of a state before it, as both are of the one
 * order that all see (memory_order_seq_cst). */
inline take_poison_along()
{
    atomic {
        used == 0 || is_log_new || old == NONE || is(STATES_RELAXED);
        when(!is_log_new && old != NONE && word[POISON(old)] != 0,
             word[POISON(new)] = 1)
    }
}

inline erase(file)
{
    own[STATE(file)] = 0;
    own[WRITING(file)] = 0;
    own[NEWEST(file)] = 0;
    word[STATE(file)] = 0;
    word[WRITING(file)] = 0;
    word[NEWEST(file)] = 0;
    word[POISON(file)] = 0;
    belongs[file] = 0
}

/* After the lock is released. What nobody has any more is as if it had never
 * been; what has got no name is removed by the next who makes one. */
inline clear()
{
    when(new == files && files < FILES, erase(new));
    pair = NONE;
    old = NONE;
    lost = NONE;
    new = NONE;
    then = READY;
    is_log_new = false;
    has_looked = false;
    must_refuse = false;
    stays_open = false;
    is_held = false;
    when(mapped == NONE, is_fresh = false);
    for (i : 0 .. files - 1) {
        when(i != named && i != mapped && i != reader_pair &&
                 i != reader_next && i != syncer_pair, erase(i))
    }
    i = 0
}

active proctype holder()
{
    byte own[WORDS]; /* What it sees: the memory, and its stores. */
    bool stays_open; /* Its handle. */
    byte pair, old, lost, new, then, i;
    bool is_log_new, has_looked, must_refuse;

    d_step {
        clear();
        newest[OLD_LOG] = 1;
        acknowledged = 1;
        own[STATE(0)] = LIVE;
        own[NEWEST(0)] = 1;
        word[STATE(0)] = LIVE;
        word[NEWEST(0)] = 1;
        files = 1
    }

locked:
    atomic {
        used == 0;
        is_held = true;
        if
        :: goto open /* A process that opens the store. */
        :: mapped != NONE -> stays_open = true
        fi;
        pair = mapped;
        /* follow_shared_locked() */
        if
        :: own[STATE(pair)] != LIVE ->
            when(!is(SWITCHING_WRITTEN_TO) || own[STATE(pair)] != SWITCHING ||
                     named != pair, goto open)
        :: else
        fi;
        /* look_again() */
        if
        :: is_fresh || is(NAMES_NOT_LOOKED_AT)
        :: !is(NAMES_NOT_LOOKED_AT) ->
            is_fresh = true;
            has_looked = true;
            when(named != pair || log_named != belongs[pair], goto open)
        fi;
        if
        :: own[WRITING(pair)] == PUBLISHING -> goto open
        :: own[WRITING(pair)] == AT_REST && !has_looked -> goto ready
        :: else ->
            when(newest[belongs[pair]] != own[NEWEST(pair)], goto open)
        fi
    }
    goto rest;

open:
    /* open_locked(), kv_pair_open() */
    atomic {
        has_looked = false;
        when(stays_open, is_fresh = true);
        pair = named;
        when(pair == NONE, goto build);
        when(own[STATE(pair)] == SUPERSEDED, goto build);
        when(belongs[pair] != log_named && !is(COMPLETED_FOR_ANOTHER_LOG),
             goto build);
        /* lacks_lines() */
        when(own[STATE(pair)] == SWITCHING &&
                 newest[log_named] != own[NEWEST(pair)] &&
                 !is(COMPLETED_WITHOUT_LINES) && !is(COPIED_AFTER_NAME),
             goto build)
    }
    if
    :: own[STATE(pair)] == SWITCHING ->
        /* kv_switch_complete() */
        or_die;
        when(!is(COMPLETED_WITHOUT_SYNC), log_synced = log_named);
        when(!is(COMPLETED_WITHOUT_WAIT), wait_for_others());
        store(RELEASE, STATE(pair), LIVE)
    :: else
    fi;
    when(stays_open, mapped = pair);
    /* replace_index() */
    when(own[WRITING(pair)] == PUBLISHING, old = told(pair); goto build);
    when(newest[belongs[pair]] == own[NEWEST(pair)] || is(COPIED_AFTER_NAME),
         goto rest);
    /* catch_up_shared() */
    store(RELEASE, WRITING(pair), APPENDING);
    /* fold_more() */
    if
    :: then = FOLD; goto grow
    :: skip
    fi;

fold:
    /* kv_build_catch_up() */
    store(RELEASE, WRITING(pair), PUBLISHING);
    store(RELEASE, NEWEST(pair), newest[belongs[pair]]);
    store(RELEASE, WRITING(pair), APPENDING);

rest:
    /* kv_store_note_rest() */
    when(own[WRITING(pair)] != AT_REST,
         store(RELEASE, WRITING(pair), AT_REST));

ready:
    skip;
    d_step {
        /* What whoever has brought the pair up to date goes by. */
        assert(own[STATE(pair)] == LIVE || is(SWITCHING_WRITTEN_TO));
        assert(belongs[pair] == log_named);
        assert(own[NEWEST(pair)] == newest[log_named]);
        assert(newest[log_named] >= acknowledged);
        must_refuse = is_told;
        has_looked = false;
        then = READY
    }
    if
    :: goto leave
    :: newest[log_named] < LINES
    :: goto grow
    :: log_named == OLD_LOG ->
        /* switch_log() */
        is_log_new = true;
        old = told(pair);
        lost = (old == NONE && !is(LOST_NOT_TOLD) -> pair : NONE);
        goto switch
    fi;

    /* kv_store_check_poison() */
    when(belongs[pair] == OLD_LOG && word[POISON(pair)] != 0, goto leave);
    /* kv_store_append() */
    store(RELEASE, WRITING(pair), APPENDING);
    d_step {
        assert(belongs[pair] == log_named);
        assert(!must_refuse || log_named != OLD_LOG);
        newest[log_named] = newest[log_named] + 1
    }
    /* kv_index_begin_publishing() to kv_index_end_publishing() */
    store(RELEASE, WRITING(pair), PUBLISHING);
    store(RELEASE, NEWEST(pair), newest[log_named]);
    store(RELEASE, WRITING(pair), AT_REST);
    /* Whoever learns of the answer sees what was stored before it. */
    atomic {
        used == 0;
        assert(log_named == log_synced);
        acknowledged = newest[log_named];
        goto ready
    }

leave:
    atomic {
        used == 0;
        clear();
        goto locked
    }

grow:
    /* kv_store_grow() */
    old = told(pair);
    goto switch;

build:
    /* build_locked(), build_shared() */
    atomic {
        then = REST;
        pair = NONE
    }

switch:
    /* copy_index(), kv_build_index(), or what a compaction has made. The file has
     * no name yet: so nobody sees what is stored in which order. */
end:
    atomic {
        files < most_of_them;
        new = files;
        d_step {
            when(is_log_new, newest[NEW_LOG] = newest[OLD_LOG]);
            belongs[new] = (is_log_new -> NEW_LOG : log_named);
            own[STATE(new)] = (is(BORN_LIVE) -> LIVE : SWITCHING);
            if
            :: is_log_new ->
                own[WRITING(new)] = AT_REST;
                own[NEWEST(new)] = newest[NEW_LOG]
            :: !is_log_new && pair == NONE ->
                own[WRITING(new)] = APPENDING;
                own[NEWEST(new)] = newest[log_named]
            :: else ->
                /* kv_table_inherit() */
                own[WRITING(new)] = own[WRITING(pair)];
                when(is_harmless(WRITING_BORN_APPENDING),
                     own[WRITING(new)] = APPENDING);
                when(is(WRITING_NOT_COPIED), own[WRITING(new)] = AT_REST);
                when(!is(COPIED_AFTER_NAME),
                     own[NEWEST(new)] = own[NEWEST(pair)])
            fi;
            word[STATE(new)] = own[STATE(new)];
            word[WRITING(new)] = own[WRITING(new)];
            word[NEWEST(new)] = own[NEWEST(new)]
        }
    }

    /* kv_switch_run(): 1 */
    when(!is(OLD_NOT_SWITCHING) && !is(SWITCHING_AFTER_LOG),
         tell_others(SWITCHING));
    when(is(SUPERSEDED_BEFORE_NAME), tell_others(SUPERSEDED));
    or_die;
    /* 2: rename_log() */
    when(is_log_new, log_named = NEW_LOG; or_die);
    when(is(SWITCHING_AFTER_LOG), tell_others(SWITCHING));
    /* 3: name_index() */
    when(!is(POISON_COPIED_AFTER_NAME), take_poison_along());
    or_die;
    if
    :: atomic {
        named = new;
        files++
    }
    :: /* It fails. */
        if
        :: is_log_new ->
            /* unname_old_index() */
            when(!is(OLD_KEEPS_NAME), named = NONE);
            tell_others(SUPERSEDED);
            log_synced = log_named;
            when(old == NONE, wait_for_others());
            when(stays_open, mapped = NONE);
            pair = NONE
        :: else -> tell_others(LIVE)
        fi;
        goto leave
    fi;
    when(is(COPIED_AFTER_NAME) && own[NEWEST(new)] == 0,
         store(RELEASE, NEWEST(new), own[NEWEST(pair)]));
    when(is(LIVE_BEFORE_DIRECTORY_SYNC), store(RELEASE, STATE(new), LIVE));
    or_die;
    /* 4: sync_directory() */
    when((is_log_new || old == NONE) && !is(NO_DIRECTORY_SYNC),
         log_synced = log_named);
    when(old == NONE && !is(BUILT_WITHOUT_WAIT), wait_for_others());
    /* 5: bring_to_life() */
    when(own[STATE(new)] != LIVE, store(RELEASE, STATE(new), LIVE));
    /* 6: supersede() */
    when(!is_harmless(OLD_STAYS_SWITCHING), tell_others(SUPERSEDED));
    or_die;
    when(!is_harmless(POISON_NOT_COPIED_AGAIN), take_poison_along());
    /* kv_store_install() */
    atomic {
        pair = new;
        when(stays_open, mapped = new);
        old = NONE;
        lost = NONE;
        new = NONE;
        is_log_new = false;
        if
        :: then == READY -> goto ready
        :: then == FOLD -> goto fold
        :: then == REST -> goto rest
        fi
    }

    /* Whoever has the lock next finds what the dead process has stored. */
died:
    atomic {
        used == 0;
        when(stays_open, mapped = NONE);
        clear();
        goto locked
    }
}

/* --- A reader, by a handle of its own */

inline answer()
{
    assert(word[NEWEST(reader_pair)] >= seen);
    assert(word[NEWEST(reader_pair)] <= newest[belongs[reader_pair]]);
    seen = word[NEWEST(reader_pair)]
}

/* kvstore_get(). The slot may as well be loaded with the state: if the pair is
 * good enough at that moment, what it has later is, too. */
active proctype reader()
{
    byte log, seen;

end:
    files > 0 && !is_beside_sync;

begin:
    /* kv_store_is_up() */
    atomic {
        when(acknowledged > seen, seen = acknowledged);
        if
        :: word[STATE(reader_pair)] == LIVE &&
           (is_reader_fresh || is(NAMES_NOT_LOOKED_AT)) ->
            answer();
            goto begin
        :: word[STATE(reader_pair)] == LIVE && !is(NAMES_NOT_LOOKED_AT) ->
            /* kv_store_check_names() */
            is_reader_fresh = true
        :: word[STATE(reader_pair)] == SWITCHING ->
            when(named == reader_pair || is(SWITCHING_TAKEN_FOR_LIVE), answer();
                 goto begin);
            goto open
        :: word[STATE(reader_pair)] == SUPERSEDED -> goto open
        fi
    }
    atomic {
        when(named != reader_pair || log_named != belongs[reader_pair],
             goto open);
        when(is(CLOCK_READ_AFTER_LOOK), goto late);
        answer();
        goto begin
    }
late:
    atomic {
        is_reader_fresh = true;
        answer();
        goto begin
    }

open:
    /* bring_up(), kv_store_open_pair() */
    atomic {
        is_reader_fresh = true;
        log = log_named
    }
    atomic {
        reader_next = named;
        when(reader_next == NONE, log = 0; goto open);
        when(belongs[reader_next] != log, reader_next = NONE; log = 0; goto open);
        log = 0
    }
    atomic {
        if
        :: word[STATE(reader_next)] == LIVE ->
            reader_pair = reader_next;
            reader_next = NONE;
            when(is(CLOCK_READ_AFTER_LOOK), is_reader_fresh = true);
            answer();
            goto begin
        :: else ->
            reader_next = NONE;
            goto open
        fi
    }
}

/* --- What opens the store for writing, and has not had the lock yet */

active proctype opener()
{
end:
    do
    :: atomic {
        files > 0 && mapped == NONE && named != NONE &&
            word[STATE(named)] == LIVE && belongs[named] == log_named;
        mapped = named;
        is_fresh = true
    }
    od
}

/* --- A caller of kvstore_sync(), by a handle that has not switched */

active proctype syncer()
{
    byte state;

end:
    atomic {
        files > 0 && is_beside_sync && named != NONE && log_named == OLD_LOG &&
            word[STATE(named)] == LIVE && belongs[named] == OLD_LOG;
        syncer_pair = named
    }
    /* The sync fails: kv_store_poison(). */
    when(is(STATE_LOADED_BEFORE_POISON), state = word[STATE(syncer_pair)]);
    word[POISON(syncer_pair)] = 1;
    atomic {
        when(!is(STATE_LOADED_BEFORE_POISON), state = word[STATE(syncer_pair)]);
        when(state == LIVE || is(SUCCESSOR_NOT_POISONED), goto told)
    }
    /* note_failed_sync() */
end_waiting:
    atomic {
        !is_held || is(SUCCESSOR_POISONED_WITHOUT_LOCK);
        when(log_named == NEW_LOG || named == NONE, goto told);
        when(belongs[named] == OLD_LOG, word[POISON(named)] = 1)
    }
told:
    is_told = true
}

/* Somebody who deletes store.index while it is in use. */
active proctype stranger()
{
end:
    atomic {
        files > 0 && !is_beside_sync && named != NONE;
        named = NONE;
    }
}
