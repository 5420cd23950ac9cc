/* SPDX-License-Identifier: MIT */

/* Gets and sets in turn on one thread, with some keys far more popular than
 * others. */

#include "workload.h"

#include <stddef.h>

#define NUMBER_COUNT ((size_t)1 << 18)

struct mix {
    unsigned sets_of_100;
    uint32_t numbers[NUMBER_COUNT];
};

static bool get_or_set(struct bench_worker *worker, uint64_t i)
{
    const struct mix *mix = worker->extra;
    bench_key(mix->numbers[i % NUMBER_COUNT], worker->key);
    if (bench_random_below(&worker->random, 100) < mix->sets_of_100) {
        bench_value(worker->key, i + 1, worker->value);
        return worker->store->set(worker->session, worker->key, worker->value);
    }
    enum bench_answer answer =
        worker->store->get(worker->session, worker->key, worker->value);
    return (answer == BENCH_FOUND &&
            bench_value_fits(worker->key, worker->value)) ||
           bench_fail("a key that was set has not its value");
}

static bool run_mix(struct bench_run *run, unsigned sets_of_100)
{
    static struct mix mix;
    mix.sets_of_100 = sets_of_100;
    bench_zipf(run->settings.keys, run->seed, mix.numbers, NUMBER_COUNT);
    struct bench_opened opened;
    const struct bench_load load = {.step = get_or_set,
                                    .extra = &mix,
                                    .count_max = UINT64_MAX,
                                    .seconds = run->seconds};
    bool is_done = bench_open(run, &opened) && bench_warm_up(run, &opened) &&
                   bench_drive_and_report(run, &opened, &load, "rate");
    bench_close(&opened);
    return is_done;
}

static bool run_95_5(struct bench_run *run)
{
    return run_mix(run, 5);
}

static bool run_50_50(struct bench_run *run)
{
    return run_mix(run, 50);
}

static const struct bench_workload mostly_reads = {
    .name = "mixed-95-5",
    .group = "Reads",
    .what = "95 gets and 5 sets of 100, keys by zipf's law (exponent 0.99)",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "95/5 zipf", "M/s", false, NULL}},
    .is_possible = bench_is_store,
    .run = run_95_5};

static const struct bench_workload half_reads = {
    .name = "mixed-50-50",
    .group = "Reads",
    .what = "50 gets and 50 sets of 100, keys by zipf's law",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "50/50 zipf", "M/s", false, NULL}},
    .is_possible = bench_is_store,
    .run = run_50_50};

const struct bench_workload *const mixed_workloads[] = {&mostly_reads,
                                                        &half_reads,
                                                        NULL};
