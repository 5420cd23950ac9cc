/* SPDX-License-Identifier: MIT */

/* How long single sets take: the usual one, and the worst of ten thousand. Once
 * with nothing else going on, and once while a second thread compacts the store
 * again and again, with a pause of 10 ms after each compaction. */

#include "histogram.h"
#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static bool time_sets(struct bench_run *run, const struct bench_opened *opened)
{
    static struct bench_histogram histogram;
    struct bench_worker worker = {.store = run->store,
                                  .session = opened->session,
                                  .keys = run->settings.keys,
                                  .random = run->seed};
    uint64_t limit = (uint64_t)(run->seconds * 3e9);
    uint64_t begin = bench_nanoseconds();
    uint64_t after = begin;
    for (uint64_t i = 0; after - begin < limit; i++) {
        bench_key(bench_random_below(&worker.random, worker.keys), worker.key);
        bench_value(worker.key, i + 1, worker.value);
        uint64_t before = bench_nanoseconds();
        if (!run->store->set(worker.session, worker.key, worker.value)) {
            return false;
        }
        after = bench_nanoseconds();
        bench_histogram_add(&histogram, after - before);
    }

    static const struct {
        const char *metric;
        double share;
    } places[] = {{"p50", 0.5},
                  {"p90", 0.9},
                  {"p99", 0.99},
                  {"p99.9", 0.999},
                  {"p99.99", 0.9999},
                  {"max", 1}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint64_t time = bench_histogram_at(&histogram, places[i].share);
        bench_report(run, places[i].metric, (double)time / 1e3);
    }
    return true;
}

static bool run_quiet(struct bench_run *run)
{
    struct bench_opened opened;
    run->settings.compacts_by_order = true;
    bool is_done = bench_open(run, &opened) && bench_warm_up(run, &opened) &&
                   time_sets(run, &opened);
    bench_close(&opened);
    return is_done;
}

/* --- During a compaction --- */

struct compactor {
    const struct bench_store *store;
    void *session;
    atomic_bool must_end;
    bool has_failed;
};

static void *compact_again(void *argument)
{
    struct compactor *compactor = argument;
    const struct timespec pause = {.tv_nsec = 10000000};
    while (!atomic_load(&compactor->must_end) && !compactor->has_failed) {
        compactor->has_failed = !compactor->store->compact(compactor->session);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool run_compacting(struct bench_run *run)
{
    struct bench_opened opened;
    run->settings.compacts_by_order = true;
    if (!bench_open(run, &opened) || !bench_warm_up(run, &opened)) {
        return false;
    }
    struct compactor compactor = {.store = run->store};
    if (!bench_connect(run->store, opened.handle, &compactor.session)) {
        return false;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, compact_again, &compactor) != 0) {
        return bench_fail("no thread to be had");
    }
    bool is_done = time_sets(run, &opened);
    atomic_store(&compactor.must_end, true);
    (void)pthread_join(thread, NULL);
    bench_disconnect(run->store, compactor.session);
    bench_close(&opened);
    return is_done &&
           (!compactor.has_failed || bench_fail("a compaction failed"));
}

#define LATENCY_METRICS \
    { \
        {"p50", "p50", "us", true, NULL}, {"p90", "p90", "us", true, NULL}, \
            {"p99", "p99", "us", true, NULL}, \
            {"p99.9", "p99.9", "us", true, NULL}, \
            {"p99.99", "p99.99", "us", true, NULL}, \
        { \
            "max", "max", "us", true, NULL \
        } \
    }

static const struct bench_workload quiet = {
    .name = "latency",
    .group = "Latency of set",
    .what = "how long each set of a random key takes, in a full store",
    .beginning = BENCH_FILLED,
    .metrics = LATENCY_METRICS,
    .is_possible = bench_is_store,
    .run = run_quiet};

static const struct bench_workload compacting = {
    .name = "latency-compacting",
    .group = "Latency of set, compacting",
    .what = "the same while another thread compacts the store again and again",
    .beginning = BENCH_FILLED,
    .needs_threads = true,
    .metrics = LATENCY_METRICS,
    .is_possible = bench_has_compaction,
    .run = run_compacting};

const struct bench_workload *const latency_workloads[] = {&quiet,
                                                          &compacting,
                                                          NULL};
