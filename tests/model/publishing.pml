/* SPDX-License-Identifier: MIT */

/* How a writer publishes to the index that all processes map, as a model for
 * spin, which tries every order of steps, of stores and of loads.
 *
 * What is modelled:
 * - Stores as in buffer.pml, and loads that may come early.
 * - The lock of writers: to release it drains the buffer. Writers take turns,
 *   so one process plays all of them. It may keep the lock for more batches.
 * - A writer may die before each of its stores, and within an append, as often
 *   as it likes. What it has stored still drains before others get its lock.
 * - A reader without a lock, which asks for one thing after the other.
 *
 * What is not: power cuts, after which the index is built anew; appends and
 * syncs that fail; batches of which a part does not count; hashes, so a tag is
 * one key's; tables that fill; compaction; and how a reader notices that an
 * index was built anew: it may finish what it does in the old one.
 *
 * What a writer does, and why in this order:
 * 1. writing := APPENDING. Then the log may go on past `applied`, and the next
 *    holder looks. It comes before the append, since a writer may die after it.
 * 2. The append, and its sync.
 * 3. writing := PUBLISHING. Then the next holder builds the index anew: counts
 *    go by slots that move, so no fold of a line that was half applied can tell
 *    what they are. It comes before the first slot, for the same reason.
 * 4. end. It comes before the slots, or a reader doubts a pointer past it; and
 *    before the counts, or a reader takes new ones for those of the old `end`.
 * 5. The slots, in the order of the log: who sees one line sees all before it.
 *    A new key's pointer comes before its tag, or a reader finds the tag and no
 *    pointer. The word for damage comes before the slots of later lines, or who
 *    has seen one of those does not look for damage that is older.
 * 6. A fence: a RELEASE store holds back no store after it, so without one the
 *    counts may pass `end`. Then the counts, in any order.
 * 7. applied. It comes after the counts, or a reader takes the old ones.
 * 8. writing := NOTHING. It comes after `applied`, since it says that the log
 *    ends there.
 *
 * What a reader does:
 * - For a key, tag, pointer, and `end`, each load before the next, or it finds
 *   the pointer of before the tag, or doubts one that is newer than the `end`.
 * - For the counts, `applied`, counts, `end`, so that `end` tells if a count is
 *   newer than `applied`, and no count is older.
 *
 * A reader's answer is the newest line of its key among those that it knows of,
 * or a newer one. It knows of all that were published at an unlock before it
 * began, and of all up to the newest one that it has seen.
 *
 * spin -a -DMUTATION=NAME makes the model do one thing in another way. */

#define NO_MUTATION 0
#ifndef MUTATION
#define MUTATION NO_MUTATION
#endif

/* Wrong: each of these must be found, and the shortest way to it is short: the
 * option -DBFS of pan finds it, in a copy of this file without `hidden`. */
#define APPENDING_AFTER_APPEND 1
#define NO_APPENDING 2
#define NO_PUBLISHING 3
#define NO_WRITING 4
#define PUBLISHING_AFTER_SLOT 5
#define SLOT_BEFORE_END 6
#define TAG_BEFORE_POINTER 7
#define TAG_RELAXED 8
#define POINTER_RELAXED 9
#define SLOTS_BACKWARDS 10
#define DAMAGE_AFTER_SLOTS 11
#define COUNTS_BEFORE_END 12
#define COUNTS_WITHOUT_FENCE 13
#define APPLIED_BEFORE_COUNTS 14
#define APPLIED_RELAXED 15
#define NOTHING_BEFORE_APPLIED 16
#define NO_LOOK_AT_APPENDING 17
#define FOLD_AT_PUBLISHING 18
#define TAG_LOADED_PLAINLY 19
#define POINTER_LOADED_PLAINLY 20
#define END_LOADED_BEFORE_POINTER 21
#define APPLIED_LOADED_PLAINLY 22
#define COUNTS_LOADED_WITHOUT_FENCE 23
#define END_LOADED_BEFORE_COUNTS 24
#define END_LOADED_BEFORE_APPLIED 25

/* Harmless: none of these is found, alone or with all others.
 * - Only the next holder of the lock reads `writing`, and all has drained then.
 * - All that matters after `end` is a RELEASE store or after the fence.
 * - Nobody reads a pointer before its tag, which is a RELEASE store.
 * - The slots of later lines are RELEASE stores, so the word for damage is
 *   there before them, even if it comes after its own slot.
 * - When a get begins, the damage that it must know of is there already, so it
 *   may look for it in either order. */
#define NOTHING_RELAXED 101
#define END_RELAXED 102
#define NEW_POINTER_RELAXED 103
#define DAMAGE_RELAXED 104
#define DAMAGE_AFTER_ITS_SLOT 105
#define DAMAGE_LOADED_LAST 106
#define ALL_HARMLESS 107

#define is(name) (MUTATION == name)
#define is_harmless(name) (is(name) || is(ALL_HARMLESS))

/* Sizes that a run can vary. A full buffer makes its writer wait. */
#ifndef LINES
#define LINES 3
#endif
#ifndef ROOM
#define ROOM 6
#endif

/* The words of the index, first `writing`. A pointer is the number of a line,
 * from 1, and `end` is the number of the last one. */
#define WRITING 0
#define END 1
#define APPLIED 2
#define LIVE 3
#define STALE 4
#define DAMAGE 5
#define SLOTS 3
#define TAG(slot) (6 + 2 * (slot))
#define POINTER(slot) (7 + 2 * (slot))
#define WORDS TAG(SLOTS)

#define NOTHING 0
#define APPENDING 1
#define PUBLISHING 2

/* What a line is: a set of one of two keys, or damage that names the first one.
 * It is also the tag of its slot. All walks begin at the first slot. */
#define KEY 1
#define OTHER_KEY 2
#define DAMAGED_KEY 3

#include "buffer.pml"

byte line[LINES + 1]; /* The log. */
byte length;          /* Of its whole lines. */
byte acknowledged;    /* The lines that a writer had published at an unlock. */
bool is_reading;

/* Leaves in `image` the index of the log's first lines. */
hidden byte image[WORDS];
hidden byte slot_of;
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
        slot_of = 0;
        do
        :: image[TAG(slot_of)] == 0 || image[TAG(slot_of)] == line[n] -> break
        :: else -> slot_of++
        od;
        if
        :: image[TAG(slot_of)] == 0 -> image[LIVE] = image[LIVE] + 1
        :: else -> image[STALE] = image[STALE] + 1
        fi;
        when(line[n] == DAMAGED_KEY, image[DAMAGE] = 1);
        image[TAG(slot_of)] = line[n];
        image[POINTER(slot_of)] = n;
        n++
    od;
    image[END] = lines;
    image[APPLIED] = lines
}

/* --- The writers */

/* As a new file, which takes the place of the old one. */
inline build()
{
    fold(length);
    for (slot : 0 .. WORDS - 1) {
        own[slot] = image[slot];
        word[slot] = image[slot]
    }
    slot = 0
}

#define relaxed_if(condition) ((condition) -> RELAXED : RELEASE)
#define say_appending store(RELAXED, WRITING, APPENDING)
#define say_publishing store(RELAXED, WRITING, PUBLISHING)
#define say_nothing                                                       \
    when(!is(NO_WRITING), store(relaxed_if(is_harmless(NOTHING_RELAXED)), \
                                WRITING, NOTHING))
#define store_end store(relaxed_if(is_harmless(END_RELAXED)), END, length)
#define store_damage \
    store(relaxed_if(is_harmless(DAMAGE_RELAXED)), DAMAGE, 1)
#define current \
    (next + is(SLOTS_BACKWARDS) * (length + own[APPLIED] + 1 - 2 * next))
#define store_tag store(relaxed_if(is(TAG_RELAXED)), TAG(slot), line[current])
#define store_pointer \
    store(relaxed_if(is(POINTER_RELAXED)), POINTER(slot), current)
#define store_new_pointer                             \
    store(relaxed_if(is(POINTER_RELAXED) ||           \
                     is_harmless(NEW_POINTER_RELAXED)), POINTER(slot), current)
#define store_counts                           \
    when(!is(COUNTS_WITHOUT_FENCE), fence());  \
    store(RELAXED, LIVE, own[LIVE] + live);    \
    store(RELAXED, STALE, own[STALE] + stale)
#define store_applied \
    store(relaxed_if(is(APPLIED_RELAXED)), APPLIED, length)

#define says_appending (!is(NO_APPENDING) && !is(NO_WRITING))
#define says_publishing (!is(NO_PUBLISHING) && !is(NO_WRITING))
#define is_new_damage(tag) ((tag) == DAMAGED_KEY && own[DAMAGE] == 0)

active proctype writer()
{
    byte own[WORDS]; /* What it sees: the memory, and its stores. */
    bool is_torn;    /* Half a line is after the whole ones. */
    byte next, slot, live, stale;

    d_step {
        line[1] = KEY;
        length = 1;
        acknowledged = 1;
        build()
    }

locked:
    if
    :: own[WRITING] == NOTHING
    :: own[WRITING] == APPENDING ->
        is_torn = false;
        when(!is(NO_LOOK_AT_APPENDING), goto publish);
        say_nothing
    :: own[WRITING] == PUBLISHING ->
        is_torn = false;
        when(is(FOLD_AT_PUBLISHING), goto publish);
        /* A reader that is under way keeps the old file, which changes no more:
         * as if it had finished before. */
        d_step {
            !is_reading;
            build()
        }
    fi;

ready:
    skip;
    /* `writing` is NOTHING, and so it must be true. */
    d_step {
        assert(!is_torn);
        fold(length);
        for (slot : 0 .. WORDS - 1) {
            assert(own[slot] == image[slot])
        }
        slot = 0
    }
end:
    if
    :: length < LINES
    :: atomic {
        used == 0;
        acknowledged = length;
        goto locked
    }
    fi;

    when(says_appending && !is(APPENDING_AFTER_APPEND), say_appending);
    do
    :: length < LINES ->
        is_torn = true;
        if
        :: goto died
        :: skip
        fi;
        atomic {
            if
            :: line[length + 1] = KEY
            :: line[length + 1] = OTHER_KEY
            :: line[length + 1] = DAMAGED_KEY
            fi;
            length++;
            is_torn = false
        }
    :: length > own[APPLIED] -> break
    od;
    when(is(APPENDING_AFTER_APPEND), say_appending);

publish:
    when(says_publishing && !is(PUBLISHING_AFTER_SLOT), say_publishing);
    if
    :: is(COUNTS_BEFORE_END) ->
        d_step {
            fold(length);
            live = image[LIVE] - own[LIVE];
            stale = image[STALE] - own[STALE]
        };
        store_counts
    :: else
    fi;
    when(!is(SLOT_BEFORE_END), store_end);
    next = own[APPLIED] + 1;
    do
    :: next > length -> break
    :: else ->
        d_step {
            do
            :: own[TAG(slot)] == 0 || own[TAG(slot)] == line[current] -> break
            :: else -> slot++
            od
        };
        when(!is(DAMAGE_AFTER_SLOTS) && !is_harmless(DAMAGE_AFTER_ITS_SLOT) &&
             is_new_damage(line[current]), store_damage);
        if
        :: own[TAG(slot)] == 0 ->
            live++;
            when(is(TAG_BEFORE_POINTER), store_tag);
            store_new_pointer;
            when(!is(TAG_BEFORE_POINTER), store_tag)
        :: own[TAG(slot)] != 0 && own[POINTER(slot)] < current ->
            stale++;
            store_pointer
        :: else -> /* It was applied before. */
            stale = stale + is(SLOTS_BACKWARDS)
        fi;
        when(is_harmless(DAMAGE_AFTER_ITS_SLOT) && is_new_damage(line[current]),
             store_damage);
        when(is(PUBLISHING_AFTER_SLOT) && own[WRITING] == APPENDING,
             say_publishing);
        slot = 0;
        next++
    od;
    next = 0;
    if
    :: is(DAMAGE_AFTER_SLOTS) ->
        for (slot : 0 .. SLOTS - 1) {
            when(is_new_damage(own[TAG(slot)]), store_damage)
        }
        slot = 0
    :: else
    fi;
    when(is(SLOT_BEFORE_END), store_end);
    when(is(APPLIED_BEFORE_COUNTS), store_applied);
    when(is(NOTHING_BEFORE_APPLIED), say_nothing);
    when(!is(COUNTS_BEFORE_END), store_counts);
    when(!is(APPLIED_BEFORE_COUNTS), store_applied);
    when(!is(NOTHING_BEFORE_APPLIED), say_nothing);
    live = 0;
    stale = 0;
    goto ready;

died:
    atomic {
        used == 0;
        next = 0;
        slot = 0;
        live = 0;
        stale = 0;
        goto locked
    }
}

/* --- A reader */

#define load_damage damage = word[DAMAGE]
#define load_tag tag = word[TAG(i)]
#define load_pointer pointer = word[POINTER(i)]
#define load_end limit = word[END]
#define load_applied applied = word[APPLIED]
#define load_counts any_order(live = word[LIVE], stale = word[STALE])
#define any_order(one, other) \
    if                        \
    :: one; other             \
    :: other; one             \
    fi

inline find(wanted)
{
    do
    :: i == SLOTS -> break
    :: i < SLOTS && tag != wanted ->
#if is(TAG_LOADED_PLAINLY)
        load_pointer;
#endif
        atomic {
            load_tag;
            if
            :: tag == 0 -> break
            :: tag == wanted
            :: else -> i++
            fi
        }
    :: tag == wanted ->
#if is(TAG_LOADED_PLAINLY)
        load_end;
#elif is(POINTER_LOADED_PLAINLY)
        any_order(load_pointer, load_end);
#elif is(END_LOADED_BEFORE_POINTER)
        load_end; load_pointer;
#else
        load_pointer; load_end;
#endif
        atomic {
            assert(pointer <= limit); /* There is no doubt. */
            assert(pointer != 0 && pointer <= length && line[pointer] == tag);
            when(pointer > answer, answer = pointer);
            break
        }
    od;
    atomic {
        i = 0;
        tag = 0;
        pointer = 0;
        limit = 0
    }
}

inline find_damage()
{
    load_damage;
    when(damage != 0, find(DAMAGED_KEY));
    damage = 0
}

#define names(tag, key) \
    ((tag) == key || (key == KEY && (tag) == DAMAGED_KEY))

active proctype reader()
{
    byte seen; /* What it knows of: all lines up to this one. */
    byte wanted, answer, i, damage, tag, pointer, limit, applied, live, stale;

    acknowledged > 0; /* The writer has made the first index. */
end:
    do
    :: atomic {
        is_reading = true;
        when(acknowledged > seen, seen = acknowledged);
        if
        :: wanted = KEY
        :: wanted = OTHER_KEY
        fi
    };
#if is_harmless(DAMAGE_LOADED_LAST)
        find(wanted);
        when(wanted == KEY, find_damage());
#else
        when(wanted == KEY, find_damage());
        find(wanted);
#endif
        d_step {
            /* It is the newest line for its key among those, or newer. */
            fold(seen);
            for (i : 0 .. SLOTS - 1) {
                assert(!names(image[TAG(i)], wanted) ||
                       answer >= image[POINTER(i)])
            }
            when(answer > seen, seen = answer);
            i = 0;
            wanted = 0;
            answer = 0;
            is_reading = false
        }
    :: is_reading = true;
#if is(END_LOADED_BEFORE_APPLIED)
        load_end; load_applied; load_counts;
#elif is(END_LOADED_BEFORE_COUNTS)
        load_applied; load_end; load_counts;
#elif is(COUNTS_LOADED_WITHOUT_FENCE)
        load_applied; any_order(load_counts, load_end);
#elif is(APPLIED_LOADED_PLAINLY)
        any_order(load_applied, load_counts); load_end;
#else
        load_applied; load_counts; load_end;
#endif
        d_step {
            if
            :: applied == limit ->
                fold(applied);
                assert(applied >= seen);
                assert(live == image[LIVE] && stale == image[STALE])
            :: else
            fi;
            when(applied > seen, seen = applied);
            applied = 0;
            live = 0;
            stale = 0;
            limit = 0;
            is_reading = false
        }
    od
}
