/* SPDX-License-Identifier: MIT */

/* Opening a store whose index was deleted, if its index is only a cache. */

#include "directory.h"
#include "workload.h"

#include <stddef.h>

static bool run_rebuild(struct bench_run *run)
{
    if (!bench_remove_index(run)) {
        return false;
    }
    uint64_t allocated;
    uint64_t length;
    bench_directory_size(run->settings.dir, &allocated, &length);
    struct bench_opened opened;
    double begin = bench_now();
    bool is_done = bench_open(run, &opened);
    double seconds = bench_now() - begin;
    struct bench_worker worker = {.store = run->store,
                                  .session = opened.session,
                                  .keys = run->settings.keys,
                                  .random = run->seed};
    is_done = is_done && bench_step_get(&worker, 0);
    bench_close(&opened);
    if (is_done) {
        bench_report(run, "rate", (double)length / seconds / 1e9);
    }
    return is_done;
}

static bool has_index_file(const struct bench_store *store)
{
    return store->index_file != NULL;
}

static const struct bench_workload rebuild = {
    .name = "rebuild",
    .group = "Compaction and growth",
    .what = "open a full store whose index was deleted: bytes of the data by "
            "the time it took",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "rebuild of the index", "GB/s", false, NULL}},
    .is_possible = has_index_file,
    .run = run_rebuild};

const struct bench_workload *const rebuild_workloads[] = {&rebuild, NULL};
