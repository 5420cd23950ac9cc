/* SPDX-License-Identifier: MIT */

/* Gets of random keys, on one thread, on two, and on two alongside a writer; of
 * sixteen keys with one call; and of keys that are not there. */

#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static bool run_gets(struct bench_run *run, bench_step step, unsigned threads)
{
    struct bench_opened opened;
    const struct bench_load load = {.step = step,
                                    .count_max = UINT64_MAX,
                                    .seconds = run->seconds,
                                    .threads = threads};
    bool is_done = bench_open(run, &opened) && bench_warm_up(run, &opened) &&
                   bench_drive_and_report(run, &opened, &load, "rate");
    bench_close(&opened);
    return is_done;
}

static bool run_one(struct bench_run *run)
{
    return run_gets(run, bench_step_get, 1);
}

static bool run_two(struct bench_run *run)
{
    return run_gets(run, bench_step_get, 2);
}

static bool get_missing(struct bench_worker *worker, uint64_t i)
{
    (void)i;
    uint64_t number =
        worker->keys + bench_random_below(&worker->random, worker->keys);
    bench_key(number, worker->key);
    enum bench_answer answer =
        worker->store->get(worker->session, worker->key, worker->value);
    return answer == BENCH_MISSING ||
           bench_fail("a key that was never set is there");
}

static bool run_missing(struct bench_run *run)
{
    return run_gets(run, get_missing, 1);
}

/* --- Alongside a writer --- */

struct writer {
    struct bench_worker worker;
    atomic_bool must_end;
    bool has_failed;
};

/* Makes ten sets each millisecond: enough to disturb, too few to fill a
 * core. */
static void *write_steadily(void *argument)
{
    struct writer *writer = argument;
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t i = 0;
    while (!atomic_load(&writer->must_end) && !writer->has_failed) {
        writer->has_failed = !bench_step_overwrite(&writer->worker, i);
        if (++i % 10 == 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static bool run_beside_writer(struct bench_run *run)
{
    struct bench_opened opened;
    struct writer writer = {.worker = {.store = run->store,
                                       .keys = run->settings.keys,
                                       .random = run->seed + 77}};
    if (!bench_open(run, &opened) || !bench_warm_up(run, &opened)) {
        return false;
    }
    if (!bench_connect(run->store, opened.handle, &writer.worker.session)) {
        return false;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, write_steadily, &writer) != 0) {
        return bench_fail("no thread to be had");
    }
    const struct bench_load load = {.step = bench_step_get,
                                    .count_max = UINT64_MAX,
                                    .seconds = run->seconds,
                                    .threads = 2};
    bool is_done = bench_drive_and_report(run, &opened, &load, "rate");
    atomic_store(&writer.must_end, true);
    (void)pthread_join(thread, NULL);
    bench_disconnect(run->store, writer.worker.session);
    bench_close(&opened);
    return is_done && (!writer.has_failed || bench_fail("the writer failed"));
}

/* --- Many with one call --- */

static bool get_sixteen(struct bench_worker *worker, uint64_t i)
{
    (void)i;
    char keys[BENCH_MANY][BENCH_KEY_SIZE];
    char values[BENCH_MANY][BENCH_VALUE_SIZE];
    for (int j = 0; j < BENCH_MANY; j++) {
        bench_key(bench_random_below(&worker->random, worker->keys), keys[j]);
    }
    if (!worker->store->get_many(
            worker->session, (const char(*)[BENCH_KEY_SIZE])keys, values)) {
        return bench_fail("keys that were set are not there");
    }
    for (int j = 0; j < BENCH_MANY; j++) {
        if (!bench_value_fits(keys[j], values[j])) {
            return bench_fail("the value of another key was read");
        }
    }
    return true;
}

static bool run_many(struct bench_run *run)
{
    struct bench_opened opened;
    const struct bench_load load = {.step = get_sixteen,
                                    .count_max = UINT64_MAX,
                                    .seconds = run->seconds,
                                    .clock_step = 4};
    struct bench_done done;
    bool is_done = bench_open(run, &opened) && bench_warm_up(run, &opened) &&
                   bench_drive(run, &opened, &load, &done);
    bench_close(&opened);
    if (is_done) {
        double keys = (double)(done.count * BENCH_MANY);
        bench_report(run, "rate", keys / done.seconds / 1e6);
    }
    return is_done;
}

static bool has_get_many(const struct bench_store *store)
{
    return store->get_many != NULL;
}

static const struct bench_workload one = {
    .name = "get",
    .group = "Reads",
    .what = "get of random keys, all there, on one thread",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "get", "M/s", false, NULL}},
    .run = run_one};

static const struct bench_workload two = {
    .name = "get-2-threads",
    .group = "Reads",
    .what = "the same on two threads of one process",
    .beginning = BENCH_FILLED,
    .needs_threads = true,
    .metrics = {{"rate", "get, 2 threads", "M/s", false, NULL}},
    .run = run_two};

static const struct bench_workload beside_writer = {
    .name = "get-beside-writer",
    .group = "Reads",
    .what = "the same while a third thread makes up to 10,000 sets a second",
    .beginning = BENCH_FILLED,
    .needs_threads = true,
    .metrics = {{"rate", "get, 2 threads and a writer", "M/s", false, NULL}},
    .is_possible = bench_is_store,
    .run = run_beside_writer};

static const struct bench_workload many = {
    .name = "get-many",
    .group = "Reads",
    .what = "16 random keys with one call, counted each",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "get, 16 at once", "M/s", false, NULL}},
    .is_possible = has_get_many,
    .run = run_many};

static const struct bench_workload missing = {
    .name = "get-missing",
    .group = "Reads",
    .what = "get of keys that were never set",
    .beginning = BENCH_FILLED,
    .metrics = {{"rate", "get, missing", "M/s", false, NULL}},
    .run = run_missing};

const struct bench_workload *const get_workloads[] =
    {&one, &two, &beside_writer, &many, &missing, NULL};
