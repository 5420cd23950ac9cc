/* SPDX-License-Identifier: MIT */

/* New values for random keys of a full store. */

#include "workload.h"

#include <stddef.h>

static bool run_overwrite(struct bench_run *run)
{
    struct bench_opened opened;
    const struct bench_load load = {.step = bench_step_overwrite,
                                    .count_max = run->settings.keys,
                                    .seconds = run->seconds * 2};
    bool is_done = bench_open(run, &opened) && bench_warm_up(run, &opened) &&
                   bench_drive_and_report(run, &opened, &load, "rate");
    bench_close(&opened);
    return is_done;
}

static const struct bench_workload overwrite = {
    .name = "overwrite",
    .group = "Writes",
    .what = "new values for random keys of a full store",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "overwrite", "M/s", false, NULL}},
    .is_possible = bench_is_store,
    .run = run_overwrite};

const struct bench_workload *const overwrite_workloads[] = {&overwrite, NULL};
