/* SPDX-License-Identifier: MIT */

/* What several processes called, and when, in memory that they share: so it
 * survives when they are killed. A call is recorded before it is made, its
 * outcome after it. Times are of CLOCK_MONOTONIC, which is one for all
 * processes of a machine. Knows no store. */

#ifndef HISTORY_H
#define HISTORY_H

#include "linearizability.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_CLIENTS 32

enum history_outcome {
    HISTORY_DONE,      /* Set; got this value; removed. */
    HISTORY_ABSENT,    /* There was nothing to get or remove. */
    HISTORY_NO_EFFECT, /* Failed, and did nothing. */
    HISTORY_UNKNOWN    /* Failed, and may yet have an effect. */
};

struct history_record {
    uint64_t begun_ns;
    uint64_t value;
    _Atomic uint64_t ended_ns; /* 0: the client has died, or is still in the
                                  call. */
    uint64_t died_ns;          /* It had died by then; 0: it had not. */
    uint32_t key;
    uint16_t client;
    uint8_t kind;
    uint8_t outcome;
};

struct history {
    _Atomic uint64_t begun;
    uint64_t capacity;
    _Atomic uint64_t current[HISTORY_CLIENTS]; /* Plus one; 0: none. */
    struct history_record records[];
};

uint64_t history_now_ns(void);

/* Returns zeroed memory, shared by this process and those that it forks; to be
 * unmapped. Ends the program if it cannot be had. */
void *history_shared_memory(size_t size);

struct history *history_create(uint64_t capacity);
void history_free(struct history *history);

/* Records that a client is about to make a call. A set writes record->value,
 * which is made up and unique. NULL: no room is left. Each client makes one
 * call at a time. */
struct history_record *history_begin(struct history *history,
                                     unsigned client,
                                     uint32_t key,
                                     enum linearizability_kind kind);

/* value: what was got. */
void history_end(struct history *history,
                 struct history_record *record,
                 enum history_outcome outcome,
                 uint64_t value);

/* Records that a client was found dead. Its last call may have happened. */
void history_bury(struct history *history, unsigned client);

/* Returns the calls for the checker, to be freed; nothing is recorded any more.
 *
 * What a dead client did can no longer happen once the next writer that began
 * after its death has been acknowledged: that writer has taken over what was
 * left, or cut it off. So the dead client's call ends with that call at the
 * latest. */
struct linearizability_call *history_calls(const struct history *history,
                                           size_t *count_out);

#endif
