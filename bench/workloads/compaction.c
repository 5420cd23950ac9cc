/* SPDX-License-Identifier: MIT */

/* A compaction of a store in which each key was set twice. */

#include "directory.h"
#include "workload.h"

#include <stddef.h>

static bool set_again(struct bench_worker *worker, uint64_t i)
{
    bench_key(bench_shuffled(i, worker->keys), worker->key);
    bench_value(worker->key, 1, worker->value);
    return worker->store->set(worker->session, worker->key, worker->value);
}

static bool run_compaction(struct bench_run *run)
{
    struct bench_opened opened;
    struct bench_done done;
    run->settings.compacts_by_order = true;
    const struct bench_load load = {.step = set_again,
                                    .count_max = run->settings.keys,
                                    .seconds = run->prepare_seconds};
    if (!bench_open(run, &opened) || !bench_fill(run, &opened, 0) ||
        !bench_drive(run, &opened, &load, &done)) {
        return false;
    }
    if (done.count < run->settings.keys) {
        return bench_fail("too slow: not every key was set twice after %.0f s",
                          run->prepare_seconds);
    }
    uint64_t before;
    uint64_t length;
    bench_directory_size(run->settings.dir, &before, &length);
    double begin = bench_now();
    bool is_done = run->store->compact(opened.session);
    double seconds = bench_now() - begin;
    bench_close(&opened);
    if (!is_done) {
        return false;
    }
    uint64_t after;
    bench_directory_size(run->settings.dir, &after, &length);
    bench_report(run, "rate", (double)before / seconds / 1e9);
    bench_report(run, "before", (double)before / (double)run->settings.keys);
    bench_report(run, "after", (double)after / (double)run->settings.keys);
    return true;
}

static const struct bench_workload compaction = {
    .name = "compaction",
    .group = "Compaction and growth",
    .what = "compact a store in which every key was set twice: bytes of its "
            "files before, by the time it took",
    .beginning = BENCH_EMPTY,
    .is_run_once = true,
    .metrics = {{"rate", "compaction", "GB/s", false, NULL},
                {"before", "disk before", "B/key", true, NULL},
                {"after", "disk after compaction", "B/key", true, NULL}},
    .is_possible = bench_has_compaction,
    .run = run_compaction};

const struct bench_workload *const compaction_workloads[] = {&compaction, NULL};
