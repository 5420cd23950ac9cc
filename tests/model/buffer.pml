/* SPDX-License-Identifier: MIT */

/* Memory that several processes map, as a processor with weak order shows it.
 *
 * Stores go to a buffer of the process, and from there to memory at any time
 * and in any order; but those to one word keep theirs, a RELEASE store comes
 * after all stores before it, and no store after a fence comes before those
 * that precede the fence. A load that nothing holds back may come early.
 *
 * Only who has the writers' lock has a buffer. To release the lock drains it,
 * and what a dead process has stored still drains before others get the lock.
 *
 * Who includes this defines WORDS and ROOM, how many stores the buffer takes: a
 * full one makes its writer wait. The writer has own[WORDS], what it sees: the
 * memory, and its stores; and a label `died`, since it may die at each store. */

#define RELAXED 1
#define RELEASE 2
#define FENCE 3

#define when(condition, step) \
    if                        \
    :: condition -> step      \
    :: else                   \
    fi

byte word[WORDS];     /* What is in memory. */
byte used;            /* The buffer of stores, oldest first. */
byte order[ROOM];
byte address[ROOM];
byte value[ROOM];

/* False while the writer stores to a file that nobody else has. */
#ifndef is_file_seen
#define is_file_seen true
#endif

/* What must hold whenever a word has been stored. */
#ifndef check_memory
#define check_memory skip
#endif

inline forget(entry)
{
    used--;
    for (i : entry .. ROOM - 2) {
        order[i] = order[i + 1];
        address[i] = address[i + 1];
        value[i] = value[i + 1]
    }
    order[ROOM - 1] = 0;
    address[ROOM - 1] = 0;
    value[ROOM - 1] = 0;
    i = 0
}

active proctype memory()
{
    byte chosen, i;
    int passed; /* The words with older stores, a bit each. */
end:
    do
    :: atomic {
        used > 0;
        do
        :: i < used && order[i] != FENCE ->
            when(order[i] == RELAXED && (passed & (1 << address[i])) == 0,
                 if :: chosen = i :: skip fi);
            passed = passed | (1 << address[i]);
            i++
        :: else -> break
        od;
        d_step {
            when(is_file_seen, word[address[chosen]] = value[chosen]);
            forget(chosen);
            when(used > 0 && order[0] == FENCE, forget(0));
            check_memory;
            chosen = 0;
            passed = 0
        }
    }
    od
}

inline store(how, where, what)
{
    if
    :: goto died
    :: d_step {
        used < ROOM;
        order[used] = how;
        address[used] = where;
        value[used] = what;
        own[where] = value[used];
        used++
    }
    fi
}

inline fence()
{
    d_step {
        used < ROOM;
        when(used > 0, order[used] = FENCE; used++)
    }
}
