/* SPDX-License-Identifier: MIT */

/* Fills: all keys into an empty store, in ascending order, in no order, and in
 * batches of a thousand. A fill that takes too long is measured as far as it
 * has got; the one in no order is then completed off the clock, for the
 * workloads that begin with a full store. */

#include "workload.h"

#include <stddef.h>
#include <unistd.h>

#define BATCH_COUNT 1000

static bool set_ordered(struct bench_worker *worker, uint64_t i)
{
    bench_key_ordered(i, worker->key);
    bench_value(worker->key, 0, worker->value);
    return worker->store->set(worker->session, worker->key, worker->value);
}

static bool set_scattered(struct bench_worker *worker, uint64_t i)
{
    bench_key(i, worker->key);
    bench_value(worker->key, 0, worker->value);
    return worker->store->set(worker->session, worker->key, worker->value);
}

static bool set_thousand(struct bench_worker *worker, uint64_t i)
{
    static struct bench_pair pairs[BATCH_COUNT];
    for (uint64_t j = 0; j < BATCH_COUNT; j++) {
        bench_key(i * BATCH_COUNT + j, pairs[j].key);
        bench_value(pairs[j].key, 0, pairs[j].value);
    }
    return worker->store->set_batch(worker->session, pairs, BATCH_COUNT);
}

static bool fill(struct bench_run *run,
                 bench_step step,
                 uint64_t keys_of_step,
                 struct bench_opened *opened)
{
    if (!bench_open(run, opened)) {
        return false;
    }
    const struct bench_load load = {
        .step = step,
        .count_max = (run->settings.keys + keys_of_step - 1) / keys_of_step,
        .seconds = run->fill_seconds,
        .clock_step = keys_of_step > 1 ? 1 : 256};
    struct bench_done done;
    if (!bench_drive(run, opened, &load, &done)) {
        return false;
    }
    double keys = (double)(done.count * keys_of_step);
    bench_report(run, "rate", keys / done.seconds / 1e6);
    bool is_full = step != set_scattered || bench_fill(run, opened, done.count);
    bench_close(opened);
    /* Else what the kernel still has to write would slow down the next
     * store. */
    sync();
    return is_full;
}

static bool run_ordered(struct bench_run *run)
{
    struct bench_opened opened;
    return fill(run, set_ordered, 1, &opened);
}

static bool run_scattered(struct bench_run *run)
{
    struct bench_opened opened;
    return fill(run, set_scattered, 1, &opened);
}

static bool run_thousand(struct bench_run *run)
{
    struct bench_opened opened;
    return fill(run, set_thousand, BATCH_COUNT, &opened);
}

static bool has_batches(const struct bench_store *store)
{
    return store->set_batch != NULL;
}

static const struct bench_workload ordered = {
    .name = "fill-sequential",
    .group = "Writes",
    .what = "set every key once, in ascending order, into an empty store",
    .beginning = BENCH_EMPTY,
    .metrics = {{"rate", "fill, sequential", "M/s", false, NULL}},
    .run = run_ordered};

static const struct bench_workload scattered = {
    .name = "fill-random",
    .group = "Writes",
    .what = "set every key once, in no order, into an empty store",
    .beginning = BENCH_FILLS,
    .metrics = {{"rate", "fill, random", "M/s", false, NULL}},
    .run = run_scattered};

static const struct bench_workload thousand = {
    .name = "fill-batch",
    .group = "Writes",
    .what =
        "the same in batches of 1000, each a transaction or what is nearest",
    .beginning = BENCH_EMPTY,
    .metrics = {{"rate", "fill, batch of 1000", "M/s", false, NULL}},
    .is_possible = has_batches,
    .run = run_thousand};

const struct bench_workload *const fill_workloads[] = {&ordered,
                                                       &thousand,
                                                       &scattered,
                                                       NULL};

static bool prepare(struct bench_run *run)
{
    struct bench_opened opened;
    if (!bench_open(run, &opened)) {
        return false;
    }
    bool is_full = bench_fill(run, &opened, 0);
    bench_close(&opened);
    sync();
    return is_full;
}

const struct bench_workload bench_preparation = {.name = "preparation",
                                                 .beginning = BENCH_FILLS,
                                                 .run = prepare};
