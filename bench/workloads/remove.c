/* SPDX-License-Identifier: MIT */

/* Removing keys that are there, in an order other than that of the fill. */

#include "workload.h"

#include <stddef.h>

static bool remove_one(struct bench_worker *worker, uint64_t i)
{
    bench_key(bench_shuffled(i, worker->keys), worker->key);
    return worker->store->remove(worker->session, worker->key);
}

static bool run_remove(struct bench_run *run)
{
    struct bench_opened opened;
    const struct bench_load load = {.step = remove_one,
                                    .count_max = run->settings.keys,
                                    .seconds = run->seconds * 2};
    bool is_done = bench_open(run, &opened) && bench_warm_up(run, &opened) &&
                   bench_drive_and_report(run, &opened, &load, "rate");
    bench_close(&opened);
    return is_done;
}

static bool has_remove(const struct bench_store *store)
{
    return store->remove != NULL;
}

static const struct bench_workload removal = {
    .name = "remove",
    .group = "Writes",
    .what = "remove keys that are there, in another order than the fill's",
    .beginning = BENCH_USES_UP,
    .metrics = {{"rate", "remove", "M/s", false, NULL}},
    .is_possible = has_remove,
    .run = run_remove};

const struct bench_workload *const remove_workloads[] = {&removal, NULL};
