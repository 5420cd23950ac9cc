/* SPDX-License-Identifier: MIT */

/* Reading every key and its value, by whatever the store has for that: in the
 * order of the keys, or in one of its own. Stores that have the order are
 * compared with each other, and with those that need not keep to any. */

#include "workload.h"

#include <stddef.h>

struct seen {
    uint64_t count;
    uint64_t wrong;
    bool has_order;
    bool has_last;
    char last[BENCH_KEY_SIZE];
};

static void see(void *context, const void *key, const void *value)
{
    struct seen *seen = context;
    seen->count++;
    seen->wrong += bench_value_fits(key, value) ? 0 : 1;
    if (seen->has_order) {
        bool is_next =
            !seen->has_last || memcmp(seen->last, key, BENCH_KEY_SIZE) < 0;
        seen->wrong += is_next ? 0 : 1;
        seen->has_last = true;
        memcpy(seen->last, key, BENCH_KEY_SIZE);
    }
}

static bool run_iterate(struct bench_run *run)
{
    struct bench_opened opened;
    if (!bench_open(run, &opened) || !bench_warm_up(run, &opened)) {
        return false;
    }
    /* Small stores are read again until there is something to time. */
    struct seen seen = {.has_order = bench_has_order(run->store)};
    uint64_t passes = 0;
    bool is_done = true;
    double begin = bench_now();
    double seconds = 0;
    while (is_done && seconds < run->seconds) {
        seen.has_last = false;
        is_done = run->store->scan(opened.session, see, &seen);
        passes++;
        seconds = bench_now() - begin;
    }
    bench_close(&opened);
    if (!is_done || seen.wrong > 0 ||
        seen.count != passes * run->settings.keys) {
        return bench_fail("other records were seen than were set");
    }
    double rate = (double)seen.count / seconds / 1e6;
    if (seen.has_order) {
        bench_report(run, "ordered", rate);
    }
    bench_report(run, "any", rate);
    return true;
}

static bool has_scan(const struct bench_store *store)
{
    return store->scan != NULL;
}

static const struct bench_workload iterate = {
    .name = "iterate",
    .group = "Reads",
    .what = "all keys and values, in key order where the store has one",
    .beginning = BENCH_FILLED,
    .metrics = {{"ordered", "iterate, key order", "M/s", false, NULL},
                {"any", "iterate, any order", "M/s", false, NULL}},
    .is_possible = has_scan,
    .run = run_iterate};

const struct bench_workload *const iterate_workloads[] = {&iterate, NULL};
