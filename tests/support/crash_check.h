/* SPDX-License-Identifier: MIT */

/* What the keys of a trace were promised at one of its events, and whether a
 * store that a power cut has left keeps it. */

#ifndef CRASH_CHECK_H
#define CRASH_CHECK_H

#include "crash_states.h"
#include "crash_trace.h"

#include <stdbool.h>
#include <stddef.h>

#define CRASH_VALUES_MAX 16

struct crash_promises {
    struct {
        const char *values[CRASH_VALUES_MAX]; /* What the key may hold. */
        size_t count;                         /* 0: as if only NULL. */
        const char *acknowledged;             /* The newest, durable or not. */
    } keys[CRASH_KEYS_MAX];
};

/* At first each key is absent. */
void crash_promises_begin(struct crash_promises *promises);

/* Takes an event into account that is about keys. */
void crash_promises_step(struct crash_promises *promises,
                         const struct crash_event *event);

/* True if a key may hold a value. own_out: the promise's own copy of it. */
bool crash_promises_allow(const struct crash_promises *promises,
                          int key,
                          const char *value,
                          const char **own_out);

/* Opens the store at a path twice, and checks that it keeps the promises, that
 * it can be written, and that what has been recovered once stays as it is. */
void crash_check(const struct crash_trace *trace,
                 const struct crash_promises *promises,
                 const char *path,
                 size_t event,
                 struct crash_result *result);

/* Counts a violation, and notes the first. */
void crash_complain(struct crash_result *result,
                    size_t event,
                    const char *what,
                    const char *detail);

#endif
