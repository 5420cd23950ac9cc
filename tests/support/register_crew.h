/* SPDX-License-Identifier: MIT */

/* Crews of threads that work on one store: each a process, or all in one. They
 * differ in what they do and how they open the store; one makes the index grow
 * again and again, and compactions due. */

#ifndef REGISTER_CREW_H
#define REGISTER_CREW_H

#include "history.h"
#include "register_client.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Shared by all processes. */
struct register_board {
    _Atomic uint64_t failures;
    _Atomic uint64_t compactions; /* Logs that got the name store.log; */
    _Atomic uint64_t growths;     /* indexes that took a smaller one's place, */
    _Atomic uint64_t rebuilds;    /* and others without a new log. */
    _Atomic uint64_t suicides;    /* Between two steps. */
    _Atomic uint64_t fillers; /* Sets and removes of keys that come and go. */
};

struct register_plan {
    const char *path;
    struct history *history;
    struct register_board *board;
    uint32_t keys;
    uint64_t calls; /* To be recorded; then all stop. */
    enum register_twin twin;
    bool are_suicidal; /* Processes kill themselves between steps. */
};

#define REGISTER_CREWS 6
#define REGISTER_CREW_FILLING 5 /* Records nothing. */
#define REGISTER_CREW_WITNESS 4 /* Reads by one handle, open all along. */
#define REGISTER_CREW_THREADS 3
#define REGISTER_CLIENTS 18 /* At most. */

/* Clients are numbered crew * REGISTER_CREW_THREADS and so on. */
struct register_crew {
    const struct register_plan *plan;
    unsigned number;
    unsigned threads;
    kvstore *shared;
    pthread_t ids[REGISTER_CREW_THREADS];
};

/* Starts a crew's threads in this process; waits for their end. */
void register_crew_start(struct register_crew *crew,
                         const struct register_plan *plan,
                         unsigned number);
void register_crew_join(struct register_crew *crew);

/* Makes this process count on the board the files that get a name, pause now
 * and then within calls and, if so planned, kill itself between their steps. To
 * be called before any thread is started. */
void register_watch_steps(const struct register_plan *plan);

#endif
