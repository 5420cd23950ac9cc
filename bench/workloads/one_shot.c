/* SPDX-License-Identifier: MIT */

/* The store's own command, as a shell script would call it: one get and one
 * set, each in turn with /bin/true. */

#include "process.h"
#include "workload.h"

#include <stddef.h>

static bool run_one_shot(struct bench_run *run)
{
    double tool_time;
    double true_time;
    if (!bench_time_tool(run, false, &tool_time, &true_time)) {
        return false;
    }
    bench_report(run, "get", tool_time);
    bench_report(run, "get-ratio", tool_time / true_time);
    if (run->store->is_floor) {
        bench_report(run, "set", tool_time);
        return true;
    }
    if (!bench_time_tool(run, true, &tool_time, &true_time)) {
        return false;
    }
    bench_report(run, "set", tool_time);
    bench_report(run, "set-ratio", tool_time / true_time);
    return true;
}

static bool has_tool(const struct bench_store *store)
{
    return store->tool != NULL;
}

static const struct bench_workload one_shot = {
    .name = "one-shot",
    .group = "Processes",
    .what = "the store's command for one get and for one unsynced set, in "
            "turn with /bin/true",
    .beginning = BENCH_FILLED,
    .metrics = {{"get", "one-shot get", "us", true, NULL},
                {"set", "one-shot set", "us", true, NULL},
                {"get-ratio", "get / true", "x", true, NULL},
                {"set-ratio", "set / true", "x", true, NULL}},
    .is_possible = has_tool,
    .run = run_one_shot};

const struct bench_workload *const one_shot_workloads[] = {&one_shot, NULL};
