/* SPDX-License-Identifier: MIT */

/* Takes a trace to the states that a power cut may leave; each is laid out and
 * opened. The model is the weakest that file systems may offer:
 *
 * - What a file has got since its last sync may be there or not: each write and
 *   cut by itself; of a write any prefix, or its full size with any of its
 *   512-byte sectors still as they were before, NUL where there was nothing; or
 *   all of the writes but one sector, which none has reached.
 * - What names have got since the directory's last sync may be there or not,
 *   each by itself. Syncing a file says nothing about its name.
 *
 * The recovery of such a state can be recorded in turn, and taken to the states
 * that a second power cut may leave. */

#ifndef CRASH_STATES_H
#define CRASH_STATES_H

#include "crash_trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crash_result {
    uint64_t states;          /* Different ones that were opened. */
    uint64_t recoveries;      /* States whose recovery was cut, too, */
    uint64_t recovery_states; /* and those of the states that this left. */
    uint64_t violations;      /* Broken promises. */
    uint64_t damaged;         /* States that showed damage. */
    bool may_be_damaged; /* Set by the caller: a key that was being written may
                            be KVSTORE_CORRUPT. */
    uint64_t told;       /* How often one was. */
    uint64_t cuts_recovery_at; /* Set by the caller: of every so many-th state
                                  the recovery is cut, too. 0: of none. */
    unsigned recovery_lies;    /* Set by the caller: as in a trace. */
    char first[256];           /* What the first violation was. */
};

/* Explores the states at each event of a trace from first_event on, and adds to
 * the result. ends_at_first: stops at the first violation. */
void crash_states_explore(const struct crash_trace *trace,
                          size_t first_event,
                          bool ends_at_first,
                          struct crash_result *result);

/* A state is opened only once with the same promises. Forgets which ones
 * were. */
void crash_states_forget(void);

#endif
