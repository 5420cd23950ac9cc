/* SPDX-License-Identifier: MIT */

/* Reading all keys with one of many prefixes, and their values: two hundred of
 * them, whatever the store holds besides. */

#include "workload.h"

#include <stddef.h>
#include <unistd.h>

struct matches {
    const char *prefix;
    uint64_t count;
    bool are_right;
};

static void see(void *context, const void *key, const void *value)
{
    struct matches *matches = context;
    matches->count++;
    matches->are_right = matches->are_right &&
                         memcmp(key, matches->prefix, BENCH_PREFIX_SIZE) == 0 &&
                         bench_value_fits(key, value);
}

static bool read_prefix(struct bench_worker *worker, uint64_t i)
{
    (void)i;
    uint64_t prefixes = bench_prefix_count(worker->keys);
    uint64_t number = bench_random_below(&worker->random, prefixes);
    bench_key_grouped(number, worker->keys, worker->key);
    /* The numbers of the keys with this prefix are so far apart. */
    uint64_t expected = (worker->keys - number + prefixes - 1) / prefixes;
    struct matches matches = {.prefix = worker->key, .are_right = true};
    return worker->store->scan_prefix(worker->session,
                                      worker->key,
                                      BENCH_PREFIX_SIZE,
                                      see,
                                      &matches) &&
           ((matches.are_right && matches.count == expected) ||
            bench_fail("other keys were seen than have the prefix"));
}

/* Fills the store, and opens it again as the workloads do that find it full. */
static bool prepare(struct bench_run *run, struct bench_opened *opened)
{
    if (!bench_open(run, opened)) {
        return false;
    }
    bool is_full = bench_fill_groups(run, opened);
    bench_close(opened);
    sync();
    return is_full && bench_open(run, opened);
}

static bool run_prefix(struct bench_run *run)
{
    struct bench_opened opened;
    struct bench_load load = {.step = read_prefix,
                              .count_max = UINT64_MAX,
                              .seconds = run->seconds / 2,
                              .clock_step = 1};
    struct bench_done done;
    if (!prepare(run, &opened) || !bench_drive(run, &opened, &load, &done)) {
        return false;
    }
    load.seconds = run->seconds;
    bool is_done = bench_drive(run, &opened, &load, &done);
    bench_close(&opened);
    if (is_done) {
        bench_report(run, "rate", (double)done.count / done.seconds);
    }
    return is_done;
}

static bool has_prefixes(const struct bench_store *store)
{
    return store->scan_prefix != NULL;
}

static const struct bench_workload prefix = {
    .name = "prefix",
    .group = "Reads",
    .what = "the 200 keys and values that have one of many prefixes, in stores "
            "with an order",
    .beginning = BENCH_EMPTY,
    .metrics = {{"rate", "200 keys of a prefix", "/s", false, NULL}},
    .is_possible = has_prefixes,
    .run = run_prefix};

const struct bench_workload *const prefix_workloads[] = {&prefix, NULL};
