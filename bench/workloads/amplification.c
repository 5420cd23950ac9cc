/* SPDX-License-Identifier: MIT */

/* What a long run of new values for old keys costs the disk: how many bytes are
 * written for each byte that is set, and how large the directory gets. Ten
 * times as many sets as there are keys, and more until the store has compacted
 * itself eight times. Keys are chosen at random, and by Zipf's law.
 *
 * Bytes written are counted in two ways. One is `wchar` in /proc/self/io: what
 * this process has passed to write calls, for sets and for what compactions
 * copy, but not what goes into a mapped file. The other adds up logs: what was
 * set, and how long each new log was when first seen. The index is in a mapped
 * file; its new files are counted separately, by their size. */

#include "process.h"
#include "sampler.h"
#include "workload.h"

#include <stddef.h>
#include <time.h>

#define COMPACTION_COUNT 8u
#define SETS_FOR_EACH_KEY 10u
#define LOOK_EACH 1024u
#define NUMBER_COUNT ((size_t)1 << 20)

struct amplification {
    struct bench_run *run;
    struct bench_opened opened;
    struct bench_sampler sampler;
    const uint32_t *numbers; /* NULL: uniform. */
    uint64_t line;           /* Bytes of a set. */
    uint64_t sets;
    uint64_t compactions;
    uint64_t written; /* With write calls. */
};

static bool set_one(struct amplification *it)
{
    const struct bench_run *run = it->run;
    char key[BENCH_KEY_SIZE];
    char value[BENCH_VALUE_SIZE];
    uint64_t number =
        it->numbers != NULL
            ? it->numbers[it->sets % NUMBER_COUNT]
            : bench_random_below(&it->run->seed, run->settings.keys);
    bench_key(number, key);
    bench_value(key, it->sets + 1, value);
    if (!run->store->set(it->opened.session, key, value)) {
        return false;
    }
    it->sets++;
    atomic_fetch_add(&it->sampler.set_bytes, it->line);
    return true;
}

static bool count(struct amplification *it, struct bench_counters *counters)
{
    return it->run->store->counters(it->opened.session, counters);
}

/* Lets a compaction that has begun end, so that it is counted. */
static void wait_for_rest(struct amplification *it)
{
    const struct timespec step = {.tv_nsec = 10000000};
    double limit = bench_now() + it->run->prepare_seconds;
    (void)nanosleep(&step, NULL);
    while (atomic_load(&it->sampler.is_compacting) && bench_now() < limit) {
        (void)nanosleep(&step, NULL);
    }
}

static bool set_many(struct amplification *it)
{
    struct bench_counters counters;
    if (!count(it, &counters)) {
        return false;
    }
    uint64_t before = counters.compactions;
    uint64_t least = it->run->settings.keys * SETS_FOR_EACH_KEY;
    double limit = bench_now() + it->run->prepare_seconds;
    bool is_enough = false;
    while (!is_enough && bench_now() < limit) {
        for (unsigned i = 0; i < LOOK_EACH; i++) {
            if (!set_one(it)) {
                return false;
            }
        }
        if (!count(it, &counters)) {
            return false;
        }
        it->compactions = counters.compactions - before;
        is_enough = it->sets >= least && it->compactions >= COMPACTION_COUNT;
    }
    wait_for_rest(it);
    bool is_counted = count(it, &counters);
    it->compactions = counters.compactions - before;
    return is_counted && (it->compactions > 0 ||
                          bench_fail("it did not compact itself once"));
}

static void report_bytes(struct bench_run *run,
                         const char *metric,
                         uint64_t bytes)
{
    bench_report(run, metric, (double)bytes / 1e6);
}

static void report(struct amplification *it)
{
    struct bench_run *run = it->run;
    const struct bench_sampler *sampler = &it->sampler;
    const struct bench_sample *worst = &sampler->worst;
    double set = (double)(it->sets * it->line);
    bench_report(run, "compactions", (double)it->compactions);
    bench_report(run, "written", (double)it->written / set);
    if (sampler->log_count > 0) {
        double copied = (double)sampler->log_bytes * (double)it->compactions /
                        (double)sampler->log_count;
        bench_report(run, "logs", 1 + copied / set);
    }
    bench_report(run, "indexes", (double)sampler->index_bytes / set);
    bench_report(run, "of-bound", sampler->worst_share);
    report_bytes(run, "directory", worst->allocated);
    report_bytes(run, "length", worst->length);
    report_bytes(run, "bound", bench_sampler_bound(sampler, worst));
    report_bytes(run, "live", 3 * sampler->live_bytes + (2u << 20));
    report_bytes(run, "index", worst->index_allocated);
    report_bytes(run, "beside", worst->beside_before + 2 * worst->beside);
    report_bytes(run, "allocated-max", sampler->allocated_max);
    report_bytes(run, "length-max", sampler->length_max);
}

static bool begin(struct amplification *it)
{
    struct bench_run *run = it->run;
    struct bench_counters counters;
    if (!bench_open(run, &it->opened) || !bench_fill(run, &it->opened, 0) ||
        !count(it, &counters)) {
        return false;
    }
    it->line = counters.live_bytes / run->settings.keys;
    it->sampler.store = run->store;
    it->sampler.dir = run->settings.dir;
    it->sampler.live_bytes = counters.live_bytes;
    it->written = bench_written_bytes();
    return bench_sampler_start(&it->sampler);
}

static bool run_with(struct bench_run *run, const uint32_t *numbers)
{
    static struct amplification it;
    it.run = run;
    it.numbers = numbers;
    if (!begin(&it)) {
        return false;
    }
    bool is_done = set_many(&it);
    it.written = bench_written_bytes() - it.written;
    bench_sampler_end(&it.sampler);
    bench_close(&it.opened);
    if (is_done) {
        report(&it);
    }
    return is_done;
}

static bool run_uniform(struct bench_run *run)
{
    return run_with(run, NULL);
}

static bool run_zipf(struct bench_run *run)
{
    static uint32_t numbers[NUMBER_COUNT];
    bench_zipf(run->settings.keys, run->seed, numbers, NUMBER_COUNT);
    return run_with(run, numbers);
}

#define NEAREST "nearest to the bound"

/* clang-format off */
#define METRICS \
    {{"written", "write calls to sets (at most 2.2)", "x", true, NULL}, \
     {"logs", "logs to sets (at most 2.2)", "x", true, NULL}, \
     {"indexes", "new indexes to sets", "x", true, NULL}, \
     {"compactions", "compactions", "times", false, BENCH_ASIDE}, \
     {"of-bound", "directory to bound (at most 1)", "x", true, NULL}, \
     {"directory", "directory", "MB", true, NEAREST}, \
     {"length", "its length", "MB", true, NEAREST}, \
     {"bound", "bound", "MB", true, NEAREST}, \
     {"live", "3 x live, and 2.1 MB", "MB", true, NEAREST}, \
     {"index", "index", "MB", true, NEAREST}, \
     {"beside", "set beside the last one, and 2 x beside this", "MB", true, NEAREST}, \
     {"allocated-max", "largest at any time", "MB", true, NEAREST}, \
     {"length-max", "longest at any time", "MB", true, NEAREST}}
/* clang-format on */

static const struct bench_workload uniform = {
    .name = "amplification",
    .group = "Amplification",
    .what = "new values for random keys until it has compacted itself 8 times "
            "and more: bytes written by bytes set, and the largest directory",
    .beginning = BENCH_EMPTY,
    .sizes = BENCH_A_FIFTH,
    .is_run_once = true,
    .needs_threads = true,
    .metrics = METRICS,
    .is_possible = bench_has_counters,
    .run = run_uniform};

static const struct bench_workload zipf = {.name = "amplification-zipf",
                                           .group = "Amplification, zipf",
                                           .what =
                                               "the same, keys by zipf's law",
                                           .beginning = BENCH_EMPTY,
                                           .sizes = BENCH_A_FIFTH,
                                           .is_run_once = true,
                                           .needs_threads = true,
                                           .metrics = METRICS,
                                           .is_possible = bench_has_counters,
                                           .run = run_zipf};

const struct bench_workload *const amplification_workloads[] = {&uniform,
                                                                &zipf,
                                                                NULL};
