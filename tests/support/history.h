/* SPDX-License-Identifier: MIT */

/* What several processes called, and when, in memory that they share: so it is
 * there when they have been killed. A call is recorded before it is made, its
 * outcome behind it. Times are of CLOCK_MONOTONIC, which is one for all
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
    _Atomic uint64_t ended_ns; /* 0: the client has died, or is at it. */
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

/* Shared by this process and those that it forks, zeroed; to be unmapped. Ends
 * the program where it cannot be had. */
void *history_shared_memory(size_t size);

struct history *history_create(uint64_t capacity);
void history_free(struct history *history);

/* Records that a client is about to make a call. What a set writes is made up,
 * and unique: record->value. NULL: no room is left. Each client makes one call
 * at a time. */
struct history_record *history_begin(struct history *history,
                                     unsigned client,
                                     uint32_t key,
                                     enum linearizability_kind kind);

/* value: that was got. */
void history_end(struct history *history,
                 struct history_record *record,
                 enum history_outcome outcome,
                 uint64_t value);

/* Records that a client was found dead. What it was at may have happened. */
void history_bury(struct history *history, unsigned client);

/* The calls for the checker, to be freed; nobody records any more.
 *
 * What a dead client did can happen no more once the next writer who came after
 * its death has been acknowledged: he has taken over what was left, or cut it
 * off. So it ends with that call at the latest. */
struct linearizability_call *history_calls(const struct history *history,
                                           size_t *count_out);

#endif
