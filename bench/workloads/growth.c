/* SPDX-License-Identifier: MIT */

/* The longest set while an empty store is filled: if a store stops to make its
 * index larger, a set waits for that. */

#include "workload.h"

#include <stddef.h>

static bool run_growth(struct bench_run *run)
{
    struct bench_opened opened;
    struct bench_timed_fill fill;
    bool is_done = bench_open(run, &opened) &&
                   bench_fill_timed(run, &opened, run->fill_seconds, &fill);
    bench_close(&opened);
    if (is_done) {
        bench_report(run, "longest", fill.longest * 1e3);
    }
    return is_done;
}

static const struct bench_workload growth = {
    .name = "growth",
    .group = "Compaction and growth",
    .what = "the longest set while an empty store is filled",
    .beginning = BENCH_EMPTY,
    .is_run_once = true,
    .metrics = {{"longest", "longest set of a fill", "ms", true, NULL}},
    .run = run_growth};

const struct bench_workload *const growth_workloads[] = {&growth, NULL};
