/* SPDX-License-Identifier: MIT */

/* What a get, a set and a command cost as the store grows. Runs from a
 * hundredth of the keys to ten times as many. */

#include "process.h"
#include "workload.h"

#include <stddef.h>
#include <unistd.h>

static bool report_time(struct bench_run *run,
                        const struct bench_opened *opened,
                        bench_step step,
                        const char *metric)
{
    const struct bench_load load = {
        .step = step, .count_max = UINT64_MAX, .seconds = run->seconds};
    return bench_drive_and_report_time(run, opened, &load, metric);
}

static bool run_cost(struct bench_run *run)
{
    struct bench_opened opened;
    bool is_floor = run->store->is_floor;
    bool is_done =
        bench_open(run, &opened) && (is_floor || bench_fill(run, &opened, 0));
    sync();
    is_done = is_done && bench_warm_up(run, &opened) &&
              report_time(run, &opened, bench_step_get, "get") &&
              report_time(run, &opened, bench_step_overwrite, "set");
    bench_close(&opened);
    if (!is_done || run->store->tool == NULL) {
        return is_done;
    }
    double tool_time;
    double true_time;
    if (!bench_time_tool(run, false, &tool_time, &true_time)) {
        return false;
    }
    bench_report(run, "one-shot", tool_time);
    return true;
}

static const struct bench_workload cost = {
    .name = "cost",
    .group = "Cost by size",
    .what = "time of a get, of a set of a key that is there, and of the "
            "store's command for one get, by the number of keys",
    .beginning = BENCH_EMPTY,
    .sizes = BENCH_EACH_SIZE,
    .is_run_once = true,
    .metrics = {{"get", "get", "us", true, NULL},
                {"set", "overwrite", "us", true, NULL},
                {"one-shot", "one-shot get", "us", true, NULL}},
    .run = run_cost};

const struct bench_workload *const cost_workloads[] = {&cost, NULL};
