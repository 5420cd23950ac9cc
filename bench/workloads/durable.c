/* SPDX-License-Identifier: MIT */

/* Sets that are on the disk when they return, on one thread and on sixteen,
 * which may share a sync. */

#include "workload.h"

#include <stddef.h>

static bool run_durable(struct bench_run *run, unsigned threads)
{
    struct bench_opened opened;
    run->settings.is_durable = true;
    const struct bench_load load = {.step = bench_step_overwrite,
                                    .count_max = UINT64_MAX,
                                    .seconds = run->seconds,
                                    .threads = threads,
                                    .clock_step = 1};
    struct bench_done done;
    bool is_done =
        bench_open(run, &opened) && bench_drive(run, &opened, &load, &done);
    bench_close(&opened);
    if (is_done) {
        bench_report(run, "rate", (double)done.count / done.seconds / 1e3);
    }
    return is_done;
}

static bool run_one(struct bench_run *run)
{
    return run_durable(run, 1);
}

static bool run_sixteen(struct bench_run *run)
{
    return run_durable(run, 16);
}

static const struct bench_workload one = {
    .name = "durable",
    .group = "Durable",
    .what = "sets of random keys into an empty store, each on the disk when "
            "it returns",
    .beginning = BENCH_EMPTY,
    .metrics = {{"rate", "durable set", "k/s", false, NULL}},
    .run = run_one};

static const struct bench_workload sixteen = {
    .name = "durable-16-threads",
    .group = "Durable",
    .what = "the same on 16 threads of one process",
    .beginning = BENCH_EMPTY,
    .needs_threads = true,
    .metrics = {{"rate", "durable set, 16 threads", "k/s", false, NULL}},
    .is_possible = bench_is_store,
    .run = run_sixteen};

const struct bench_workload *const durable_workloads[] = {&one, &sixteen, NULL};
