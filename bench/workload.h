/* SPDX-License-Identifier: MIT */

/* What a workload is, and what it may use. Each file in workloads/ ends in a
 * table of this form; it runs in a process of its own, for one store. */

#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "store.h"

#define BENCH_METRIC_COUNT_MAX 64

#define BENCH_ASIDE ""

/* One figure of a workload. */
struct bench_metric {
    const char *name;
    const char *title;
    const char *unit;
    bool is_better_if_less;
    const char *row; /* In a table of only this workload and store, with the
                        title as column. NULL: in the table of the group, and
                        in the summary; BENCH_ASIDE: not in the summary. */
};

/* How many keys a workload has, as a multiple of the number requested. */
enum bench_sizes {
    BENCH_AS_ASKED,
    BENCH_A_FIFTH,
    BENCH_TEN_TIMES,     /* But not in a quick run. */
    BENCH_AND_TEN_TIMES, /* As requested, and ten times. */
    BENCH_EACH_SIZE,     /* A hundredth, a tenth, one and ten times. */
    BENCH_TO_FIFTY_TIMES /* As requested, ten and fifty times. */
};

/* What a workload finds in the store's directory. */
enum bench_beginning {
    BENCH_EMPTY,  /* Nothing, and what it leaves is removed. */
    BENCH_FILLS,  /* Nothing; others begin with what it leaves. */
    BENCH_FILLED, /* All keys. */
    BENCH_USES_UP /* All keys; what it leaves is of no use to others. */
};

struct bench_run;

struct bench_workload {
    const char *name;
    const char *group; /* The table that it is in. */
    const char *what;  /* One line for readers. */
    enum bench_beginning beginning;
    enum bench_sizes sizes;
    bool is_run_once;   /* In the first round only, since it takes long. */
    bool is_long;       /* Takes minutes, not seconds. */
    bool is_on_request; /* Only if it is named, or in a quick run. */
    bool needs_threads;
    struct bench_metric metrics[BENCH_METRIC_COUNT_MAX + 1]; /* No name: end. */
    /* True if the store has what the workload takes. NULL: all do. */
    bool (*is_possible)(const struct bench_store *store);
    bool (*run)(struct bench_run *run);
};

/* One workload on one store. */
struct bench_run {
    const struct bench_store *store;
    struct bench_settings settings;
    double seconds;         /* How long a rate is measured at most. */
    double fill_seconds;    /* The same for a fill. */
    double prepare_seconds; /* How long filling off the clock may take. */
    unsigned pairs;         /* How many commands are run. */
    uint64_t seed;
    const char *scratch_dir; /* Exists; kept for the following workloads. */
    int result_fd;
};

/* Reports one of the workload's figures. */
void bench_report(struct bench_run *run, const char *metric, double value);

/* Seconds, of a clock that never goes back. */
double bench_now(void);

/* The same clock, in nanoseconds. */
uint64_t bench_nanoseconds(void);

/* The median of the numbers, which it sorts; count is not 0. */
double bench_median(double *numbers, size_t count);

/* For is_possible. */
bool bench_is_store(const struct bench_store *store);
bool bench_has_compaction(const struct bench_store *store);
bool bench_has_counters(const struct bench_store *store);
bool bench_has_order(const struct bench_store *store);

/* An open store, with the first thread's session. */
struct bench_opened {
    const struct bench_store *store;
    void *handle;
    void *session;
};

bool bench_open(struct bench_run *run, struct bench_opened *opened_out);
void bench_close(struct bench_opened *opened);

/* Opens a session for one more thread. */
bool bench_connect(const struct bench_store *store,
                   void *handle,
                   void **session_out);
void bench_disconnect(const struct bench_store *store, void *session);

/* A thread of a workload; its buffers are its own. */
struct bench_worker {
    const struct bench_store *store;
    void *session;
    uint64_t keys;
    uint64_t random;
    const void *extra;
    char key[BENCH_KEY_SIZE];
    char value[BENCH_VALUE_SIZE];
};

/* One operation, the i-th of this thread. */
typedef bool (*bench_step)(struct bench_worker *worker, uint64_t i);

struct bench_load {
    bench_step step;
    const void *extra;   /* For the step. */
    uint64_t count_max;  /* Steps of each thread. */
    double seconds;      /* No further step begins after this time. */
    unsigned threads;    /* 0 is 1. */
    unsigned clock_step; /* The clock is read every so many; 0 is 64. */
};

struct bench_done {
    uint64_t count;
    double seconds;
};

/* Runs steps in a loop on each thread. False if one of them failed. */
bool bench_drive(struct bench_run *run,
                 const struct bench_opened *opened,
                 const struct bench_load *load,
                 struct bench_done *done_out);

/* The same, and reports millions of steps per second. */
bool bench_drive_and_report(struct bench_run *run,
                            const struct bench_opened *opened,
                            const struct bench_load *load,
                            const char *metric);

/* The same, and reports microseconds per step. */
bool bench_drive_and_report_time(struct bench_run *run,
                                 const struct bench_opened *opened,
                                 const struct bench_load *load,
                                 const char *metric);

/* Steps that several workloads take. */
bool bench_step_get(struct bench_worker *worker, uint64_t i);
bool bench_step_overwrite(struct bench_worker *worker, uint64_t i);

/* Sets the keys from first on, off the clock, in the fastest way the store
 * has. */
bool bench_fill(struct bench_run *run,
                const struct bench_opened *opened,
                uint64_t first);

/* The same with all keys that are in groups. */
bool bench_fill_groups(struct bench_run *run,
                       const struct bench_opened *opened);

/* Sets keys from the first on, one by one and on the clock, until all are set or
 * the time is over. */
struct bench_timed_fill {
    uint64_t count;
    double seconds;
    double longest; /* Seconds that one of them took. */
};
bool bench_fill_timed(struct bench_run *run,
                      const struct bench_opened *opened,
                      double seconds,
                      struct bench_timed_fill *fill_out);

/* Deletes a store's index, which is only a cache. */
bool bench_remove_index(const struct bench_run *run);

/* Reads keys for a while, until caches and maps are as in steady use. */
bool bench_warm_up(struct bench_run *run, const struct bench_opened *opened);

/* All of them, by number; NULL after the last. */
const struct bench_workload *bench_workload_at(size_t number);

/* Runs before a workload that needs a full store and finds none. */
extern const struct bench_workload bench_preparation;

#endif
