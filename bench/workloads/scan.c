/* SPDX-License-Identifier: MIT */

/* Reading every key and its value, in the store's own order. */

#include "workload.h"

#include <stddef.h>

struct seen {
    uint64_t count;
    uint64_t wrong;
};

static void see(void *context, const void *key, const void *value)
{
    struct seen *seen = context;
    seen->count++;
    seen->wrong += bench_value_fits(key, value) ? 0 : 1;
}

static bool run_scan(struct bench_run *run)
{
    struct bench_opened opened;
    if (!bench_open(run, &opened) || !bench_warm_up(run, &opened)) {
        return false;
    }
    /* Small stores are scanned again until there is something to time. */
    struct seen seen = {0};
    uint64_t scans = 0;
    bool is_done = true;
    double begin = bench_now();
    double seconds = 0;
    while (is_done && seconds < run->seconds) {
        is_done = run->store->scan(opened.session, see, &seen);
        scans++;
        seconds = bench_now() - begin;
    }
    bench_close(&opened);
    if (!is_done || seen.wrong > 0 ||
        seen.count != scans * run->settings.keys) {
        return bench_fail("a scan saw other records than were set");
    }
    bench_report(run, "rate", (double)seen.count / seconds / 1e6);
    return true;
}

static bool has_scan(const struct bench_store *store)
{
    return store->scan != NULL;
}

static const struct bench_workload scan = {
    .name = "scan",
    .group = "Reads",
    .what = "all keys and values, in the store's own order",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "full scan", "M/s", false, NULL}},
    .is_possible = has_scan,
    .run = run_scan};

const struct bench_workload *const scan_workloads[] = {&scan, NULL};
