/* SPDX-License-Identifier: MIT */

/* Threads that do one thing again and again, on a schedule or as fast as they
 * can, and how long it took each time: while nothing else was going on, and
 * while a compaction ran. */

#ifndef BENCH_METER_H
#define BENCH_METER_H

#include "histogram.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum bench_stretch { BENCH_ALONE, BENCH_COMPACTING, BENCH_STRETCH_COUNT };

/* Where stretches begin and end. There are two of BENCH_ALONE, one before the
 * compaction and one after it. */
enum bench_mark {
    BENCH_ALONE_BEGINS,
    BENCH_COMPACTING_BEGINS, /* The first stretch alone has ended. */
    BENCH_COMPACTING_ENDS,   /* What waited for it may still wait, and */
    BENCH_CAUGHT_UP,         /* belongs to the compaction until here. */
    BENCH_ALONE_AGAIN_BEGINS,
    BENCH_ALONE_AGAIN_ENDS,
    BENCH_MARK_COUNT
};

/* Shared by the meters and the thread that directs them. */
struct bench_timeline {
    atomic_ullong marks[BENCH_MARK_COUNT]; /* Nanoseconds; 0: not yet. */
    atomic_bool must_end;
};

void bench_timeline_mark(struct bench_timeline *timeline, enum bench_mark mark);

/* How long the stretches of a kind were, in seconds, once they have ended. */
double bench_timeline_seconds(const struct bench_timeline *timeline,
                              enum bench_stretch stretch);

/* What one meter saw in the stretches of one kind. */
struct bench_times {
    /* Each from when it was due to its end, by the stretch in which it was due:
     * what waited for a slow one is slow, too. Without a schedule, each is due
     * when it begins. */
    struct bench_histogram waits;
    struct bench_histogram calls; /* From its beginning, by that. */
    uint64_t done; /* How many ended in the stretch, not while catching up. */
};

struct bench_meter {
    void (*prepare)(void *context, uint64_t i); /* Off the clock; or NULL. */
    bool (*act)(void *context, uint64_t i);     /* On the clock; or NULL. */
    void *context;
    struct bench_timeline *timeline;
    uint64_t interval; /* Nanoseconds from one to the next; 0: no schedule. */
    uint64_t phase;    /* Where in the interval they are due. */
    struct bench_times times[BENCH_STRETCH_COUNT];
    atomic_ullong behind; /* Nanoseconds that it is late. */
    atomic_ullong begun;  /* When the last one that ended had begun. */
    atomic_bool has_failed;
    pthread_t thread;
    bool is_running;
};

bool bench_meter_start(struct bench_meter *meter);

/* True if the meter is on time and has done one that began after a mark. */
bool bench_meter_is_past(const struct bench_meter *meter, enum bench_mark mark);

/* Waits for the meter's end, which the timeline orders. False if it failed. */
bool bench_meter_join(struct bench_meter *meter);

#endif
