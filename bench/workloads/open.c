/* SPDX-License-Identifier: MIT */

/* What opening a full store and a first get cost inside a process. */

#include "workload.h"

#include <stddef.h>

#define TRIAL_COUNT_MAX 50

static bool run_open(struct bench_run *run)
{
    double times[TRIAL_COUNT_MAX];
    size_t count = 0;
    double begin = bench_now();
    while (count < TRIAL_COUNT_MAX && bench_now() - begin < run->seconds) {
        struct bench_opened opened;
        struct bench_worker worker = {.store = run->store,
                                      .keys = run->settings.keys,
                                      .random = run->seed + count};
        double start = bench_now();
        bool is_done = bench_open(run, &opened);
        worker.session = opened.session;
        is_done = is_done && bench_step_get(&worker, 0);
        times[count++] = bench_now() - start;
        bench_close(&opened);
        if (!is_done) {
            return false;
        }
    }
    bench_report(run, "time", bench_median(times, count) * 1e3);
    return true;
}

static const struct bench_workload opening = {
    .name = "open",
    .group = "Processes",
    .what = "open a full store and get one key, inside a process",
    .beginning = BENCH_FILLED,
    .metrics = {{"time", "open and get", "ms", true, NULL}},
    .is_possible = bench_is_store,
    .run = run_open};

const struct bench_workload *const open_workloads[] = {&opening, NULL};
