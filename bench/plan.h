/* SPDX-License-Identifier: MIT */

/* What is measured, workload by workload and store by store, and what came out
 * of it. Knows nothing of how it is measured or shown. */

#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "options.h"
#include "workload.h"

/* A workload at one number of keys: a row of cells. */
struct bench_case {
    const struct bench_workload *workload;
    uint64_t keys;
};

/* A case on one store. */
struct bench_cell {
    double values[BENCH_METRIC_COUNT_MAX][BENCH_ROUND_COUNT_MAX];
    unsigned counts[BENCH_METRIC_COUNT_MAX];
    double seconds;  /* How long its last round took; 0: none yet. */
    bool has_failed; /* Then the note says why. */
    char note[240];
};

struct bench_plan {
    struct bench_options options;
    const struct bench_store **stores;
    size_t store_count;
    struct bench_case *cases;
    size_t case_count;
    struct bench_cell *cells;
    double seconds; /* How long all of it took. */
};

/* A metric of a cell over all rounds. */
struct bench_figure {
    bool is_there;
    double median;
    double min;
    double max;
};

/* False, with a message on standard error, if a name is unknown. */
bool bench_plan_init(struct bench_plan *plan,
                     const struct bench_options *options);
void bench_plan_release(struct bench_plan *plan);

struct bench_cell *bench_plan_cell(const struct bench_plan *plan,
                                   size_t case_number,
                                   size_t store_number);

/* True if the store has what the workload takes. */
bool bench_plan_is_possible(const struct bench_workload *workload,
                            const struct bench_store *store);

struct bench_figure bench_plan_figure(const struct bench_plan *plan,
                                      size_t case_number,
                                      size_t store_number,
                                      size_t metric);

/* The stores among which the best is sought. */
enum bench_class {
    BENCH_OURS,         /* Any handle of kvstore. */
    BENCH_OURS_SHARING, /* The handle that lets others write. */
    BENCH_PEERS,
    BENCH_PEERS_SHARING,
    BENCH_FLOOR
};

/* The best of a class at a metric; false if the class has no figure. */
bool bench_plan_best(const struct bench_plan *plan,
                     size_t case_number,
                     size_t metric,
                     enum bench_class among,
                     size_t *store_out);

#endif
