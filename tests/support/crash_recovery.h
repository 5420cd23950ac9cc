/* SPDX-License-Identifier: MIT */

/* States that wait for their recovery to be cut by the next loss of power. */

#ifndef CRASH_RECOVERY_H
#define CRASH_RECOVERY_H

#include "crash_check.h"
#include "crash_states.h"
#include "crash_trace.h"

#include <stdbool.h>
#include <stddef.h>

/* What a power cut has left, and what it was promised to leave. */
struct crash_remains {
    struct crash_file files[CRASH_FILES_MAX];
    int file_count;
    bool has_directory;
    struct crash_promises promises;
    struct crash_remains *next;
};

/* Copies a file into what is left. */
void crash_remains_add(struct crash_remains *remains,
                       const char *name,
                       const char *bytes,
                       size_t size);
void crash_remains_free(struct crash_remains *remains);

/* Records how a handle recovers what is left of a trace: it opens the store,
 * reads what is there, writes, and perhaps compacts. The record has the
 * promises of before, and that what was read stays. first_out: the event it
 * begins with. Ended, and to be released by the caller. */
struct crash_trace *crash_recovery_record(const struct crash_remains *remains,
                                          const struct crash_trace *cut,
                                          size_t *first_out,
                                          struct crash_result *result);

#endif
