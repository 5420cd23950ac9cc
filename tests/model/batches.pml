/* SPDX-License-Identifier: MIT */

/* How a batch gets into the index at once, how whoever has the lock next catches
 * up with what a dead writer has left in the log, and what a get does that meets
 * half a batch (store/transaction.c, store/shared.c, index/apply.c,
 * store/doubt.c).
 *
 * What is modelled, with the function that each step stands for beside it:
 * - Stores as in buffer.pml, and loads that may come early.
 * - The lock of writers: they take turns, so one process plays all of them. It
 *   may keep the lock for more batches. It may die before each of its stores and
 *   lines: then a beginning of the batch is in the log.
 * - A reader that asks for a key, or for all up to `applied` (iterate, list,
 *   backup, watch), one after the other. It may get the lock when nobody has it.
 *
 * What is not: tags, `end`, damage and counts but one, which are publishing.pml's;
 * switches, which are switch.pml's, so that a new index is there at once; power
 * cuts; appends that fail.
 *
 * What is promised:
 * - A get finds the newest line of its key among those that were acknowledged
 *   before it began, and those up to the newest one that it has seen: so the
 *   first records of a batch may be seen before its last, never the other way
 *   round.
 * - It finds a part of a batch only if somebody has had the lock since it began.
 * - `applied` never lies within a batch, and is not behind what is acknowledged.
 * - When the word `writing` says so, the log ends at `applied`. */

#define MOST_BY_DEFAULT 4
#define MOST_FOR_SWAPPED 3

/* Wrong: each of these must be found. */
#define APPLIED_INSIDE_BATCH 1
#define LAST_RECORD_FIRST 2
#define SLOT_RELAXED 3
#define APPLIED_BEFORE_SLOTS 4
#define APPLIED_RELAXED 5
#define NO_PUBLISHING 6
#define PUBLISHING_AFTER_SLOT 7
#define NO_APPENDING 8
#define NO_LOOK_AT_APPENDING 9
#define AT_REST_BEFORE_APPLIED 10
#define PUBLISHING_FOLDED 11
#define CATCH_UP_WITHOUT_PUBLISHING 12
#define HALF_BATCH_FOLDED 13
#define REST_NOT_CUT 14
#define HALF_NOT_SEEN 15
#define HALF_TAKEN_FROM_DEAD 16

/* Broken in a longer log: */
#define HALF_BUILT_WITHOUT_LOCK 17

/* Harmless: none of these is found, alone or with all others.
 * - Only the next holder of the lock, and who finds no PUBLISHING, go by AT_REST.
 * - What was loaded early is older: a get takes a batch for half that is whole, and
 *   looks again; or its writer was alive when the get began. */
#define AT_REST_RELAXED 101
#define APPLIED_LOADED_BEFORE_SLOT 102
#define WRITING_LOADED_BEFORE_APPLIED 103
#define WRITING_LOADED_BEFORE_SLOT 104
#define ALL_HARMLESS 199

#define is_harmless(name) (is(name) || is(ALL_HARMLESS))

/* The log begins with one line; then come batches. */
#define LINES 5 /* Or fewer: MOST. */
#define ROOM 4

/* The words of the index. A slot leads to a line by its number, from 1. STALE
 * counts the lines that others have superseded. */
#define WRITING 0
#define APPLIED 1
#define STALE 2
#define SLOT(key) (3 + (key))
#define KEYS 2
#define WORDS SLOT(KEYS)

#define AT_REST 0
#define APPENDING 1
#define PUBLISHING 2

#include "swapped.pml"

byte key[LINES + 1];  /* The log: of each line, the key, */
byte left[LINES + 1]; /* and how many of its batch follow. */
byte length;          /* So many lines are there, */
byte whole;           /* and so many without those of half a batch. */
byte acknowledged;    /* The lines that are. */
bool is_held;         /* The writers' lock; */
bool was_held;        /* and since the get began. */
bool is_reading;
bool has_lost_name;   /* The file that the holder of the lock stores to. */

#define is_file_seen !has_lost_name
#include "buffer.pml"

/* Leaves in `image` the index of the log's first lines. */
hidden byte image[WORDS];
hidden byte n;
inline fold(lines)
{
    for (n : 0 .. WORDS - 1) {
        image[n] = 0
    }
    n = 1;
    do
    :: n > lines -> break
    :: else ->
        when(image[SLOT(key[n])] != 0, image[STALE]++);
        image[SLOT(key[n])] = n;
        n++
    od;
    image[APPLIED] = lines
}

/* --- The writers */

#define or_die   \
    if           \
    :: goto died \
    :: skip      \
    fi

#define store_relaxed_if(condition, where, what)  \
    if                                            \
    :: condition -> store(RELAXED, where, what)   \
    :: else -> store(RELEASE, where, what)        \
    fi
#define say_publishing store(RELEASE, WRITING, PUBLISHING)
#define say_at_rest \
    store_relaxed_if(is_harmless(AT_REST_RELAXED), WRITING, AT_REST)
#define store_applied \
    store_relaxed_if(is(APPLIED_RELAXED), APPLIED, whole)

active proctype holder()
{
    byte own[WORDS]; /* What it sees: the memory, and its stores. */
    byte next, at, stale, i;
    bool is_catching_up;

    d_step {
        length = 1;
        whole = 1;
        acknowledged = 1;
        fold(1);
        for (i : 0 .. WORDS - 1) {
            word[i] = image[i]
        }
        i = 0
    }

locked:
    atomic {
        used == 0 && !is_held;
        is_held = true;
        was_held = true;
        has_lost_name = false;
        d_step {
            for (i : 0 .. WORDS - 1) {
                own[i] = word[i]
            }
            i = 0
        }
        /* follow_shared_locked(), catch_up_shared() */
        is_catching_up = true;
        if
        :: own[WRITING] == AT_REST -> goto ready
        :: own[WRITING] == APPENDING ->
            when(is(NO_LOOK_AT_APPENDING), goto ready);
            when(is(HALF_BATCH_FOLDED), whole = length);
            when(whole > own[APPLIED], goto publish);
            goto mend
        :: own[WRITING] == PUBLISHING ->
            when(is(PUBLISHING_FOLDED), goto publish)
        fi
    }
    /* replace_index(): a new file. A reader that is under way keeps the old one,
     * which changes no more: as if it had finished before. */
    atomic {
        !is_reading;
        fold(whole);
        image[WRITING] = APPENDING;
        for (i : 0 .. WORDS - 1) {
            own[i] = image[i];
            word[i] = image[i]
        }
        i = 0
    }

mend:
    /* kv_store_mend(), which cuts what is torn; kv_store_note_rest() */
    or_die;
    when(!is(REST_NOT_CUT), length = whole);
    say_at_rest;

ready:
    skip;
    d_step {
        is_catching_up = false;
        /* The word says that the log ends at `applied`. */
        assert(own[WRITING] == APPENDING || length == whole);
        fold(length);
        for (i : 0 .. WORDS - 1) {
            assert(i == WRITING || own[i] == image[i])
        }
        i = 0
    }
    if
    :: atomic {
        used == 0;
        is_held = false;
        goto locked
    }
    :: length < most_of_them
    fi;

    /* kv_store_append(): all lines of a batch at once, and any death leaves a
     * beginning of it. */
    when(!is(NO_APPENDING), store(RELEASE, WRITING, APPENDING));
    atomic {
        if
        :: length + 1 == most_of_them -> next = 1
        :: length + 2 <= most_of_them -> next = 2
        :: length + 3 <= most_of_them -> next = 3
        fi
    }
    do
    :: next == 0 -> break
    :: else ->
        or_die;
        atomic {
            length++;
            next--;
            left[length] = next;
            if
            :: key[length] = 0
            :: key[length] = 1
            fi;
            when(next == 0, whole = length)
        }
    od;

publish:
    /* kv_index_begin_publishing() */
    when(!is(NO_PUBLISHING) && !is(PUBLISHING_AFTER_SLOT) &&
             (!is_catching_up || !is(CATCH_UP_WITHOUT_PUBLISHING)),
         say_publishing);
    when(is(APPLIED_BEFORE_SLOTS), next = own[APPLIED]; store_applied;
         own[APPLIED] = next);
    next = own[APPLIED] + 1;
    /* publish_transaction(), kv_parts_empty(): point() */
    do
    :: next > whole -> break
    :: else ->
        at = (is(LAST_RECORD_FIRST) -> whole + own[APPLIED] + 1 - next : next);
        when(own[SLOT(key[at])] < at,
             when(own[SLOT(key[at])] != 0, stale++);
             store_relaxed_if(is(SLOT_RELAXED), SLOT(key[at]), at));
        when(is(PUBLISHING_AFTER_SLOT) && own[WRITING] == APPENDING,
             say_publishing);
        when(is(APPLIED_INSIDE_BATCH) && next < whole,
             own[APPLIED] = next; store(RELEASE, APPLIED, next));
        next++
    od;
    next = 0;
    at = 0;
    /* kv_index_end_publishing(): kv_table_store_totals() */
    store(RELEASE, STALE, own[STALE] + stale);
    stale = 0;
    when(is(AT_REST_BEFORE_APPLIED), say_at_rest);
    store_applied;
    if
    :: is_catching_up ->
        store(RELEASE, WRITING, APPENDING);
        goto mend
    :: else -> when(!is(AT_REST_BEFORE_APPLIED), say_at_rest)
    fi;
    /* Whoever learns of the answer sees what was stored before it. */
    atomic {
        used == 0;
        acknowledged = whole;
        goto ready
    }

died:
    atomic {
        used == 0;
        next = 0;
        at = 0;
        stale = 0;
        is_catching_up = false;
        is_held = false;
        goto locked
    }
}

/* --- A reader */

inline finish()
{
    d_step {
        /* It is the newest line for its key among those, or newer. */
        fold(seen);
        assert(slot >= image[SLOT(wanted)]);
        /* The first records before the last, while their call has not returned:
         * not if its process is dead, and nobody has had the lock since. */
        assert(left[slot] == 0 || slot <= word[APPLIED] || was_held);
        when(slot > seen, seen = slot);
        wanted = 0;
        slot = 0;
        applied = 0;
        writing = 0;
        takes_half = false;
        is_reading = false
    }
}

active proctype reader()
{
    byte seen; /* What it knows of: all lines up to this one. */
    byte last; /* What it has listed. */
    byte wanted, slot, applied, writing;
    bool takes_half;

    acknowledged > 0; /* There is a store. */

end:
    do
    :: atomic {
        is_reading = true;
        was_held = is_held;
        when(acknowledged > seen, seen = acknowledged);
        when(acknowledged > last, last = acknowledged);
        if
        :: wanted = 0
        :: wanted = 1
        fi
    }
look_up:
        /* kv_index_find(), is_of_half_batch() */
        when(is_harmless(APPLIED_LOADED_BEFORE_SLOT), applied = word[APPLIED]);
        when(is_harmless(WRITING_LOADED_BEFORE_SLOT), writing = word[WRITING]);
        slot = word[SLOT(wanted)];
        atomic {
            when(!is_harmless(APPLIED_LOADED_BEFORE_SLOT),
                 applied = word[APPLIED]);
            when(takes_half || is(HALF_NOT_SEEN) || left[slot] == 0 ||
                     slot <= applied, goto answer);
            is_reading = false
        }
await:
        /* kv_store_await_batch(): is_half_there() */
        takes_half = true;
        if
        :: is_harmless(WRITING_LOADED_BEFORE_SLOT) -> applied = word[APPLIED]
        :: is(WRITING_LOADED_BEFORE_APPLIED) ->
            writing = word[WRITING];
            applied = word[APPLIED]
        :: else ->
            applied = word[APPLIED];
            writing = word[WRITING]
        fi;
        atomic {
            if
            :: applied >= slot || writing != PUBLISHING ->
                is_reading = true;
                goto look_up
            :: else -> /* Its millisecond is not over, or is. */
                if
                :: goto await
                :: skip
                fi
            fi
        }
        /* take_batch_along(), kv_store_try_to_follow() */
        atomic {
            if
            :: is_held && !is(HALF_BUILT_WITHOUT_LOCK)
            :: (!is_held && used == 0) || is(HALF_BUILT_WITHOUT_LOCK) ->
                when(word[WRITING] == PUBLISHING && !is(HALF_TAKEN_FROM_DEAD),
                     has_lost_name = is_held;
                     fold(whole);
                     image[WRITING] = APPENDING;
                     for (n : 0 .. WORDS - 1) {
                         word[n] = image[n]
                     }
                )
            fi;
            is_reading = true;
            goto look_up
        }
answer:
        finish()
    :: /* kv_store_open_snapshot() */
        atomic {
            is_reading = true;
            when(acknowledged > seen, seen = acknowledged);
            when(acknowledged > last, last = acknowledged)
        }
        d_step {
            assert(word[APPLIED] >= last);
            assert(left[word[APPLIED]] == 0);
            last = word[APPLIED];
            when(last > seen, seen = last);
            is_reading = false
        }
    od
}
