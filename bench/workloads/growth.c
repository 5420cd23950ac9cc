/* SPDX-License-Identifier: MIT */

/* The longest set while an empty store is filled: if a store stops to make its
 * index larger, a set waits for that. */

#include "workload.h"

#include <stddef.h>

static bool run_growth(struct bench_run *run)
{
    struct bench_opened opened;
    bool is_done = bench_open(run, &opened);
    double begin = bench_now();
    double before = begin;
    double longest = 0;
    for (uint64_t i = 0; is_done && i < run->settings.keys; i++) {
        char key[BENCH_KEY_SIZE];
        char value[BENCH_VALUE_SIZE];
        bench_key(i, key);
        bench_value(key, 0, value);
        is_done = run->store->set(opened.session, key, value);
        double now = bench_now();
        longest = now - before > longest ? now - before : longest;
        before = now;
        if (now - begin > run->fill_seconds) {
            break;
        }
    }
    bench_close(&opened);
    if (is_done) {
        bench_report(run, "longest", longest * 1e3);
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
