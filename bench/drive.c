/* SPDX-License-Identifier: MIT */

/* What workloads share: opening a store, running steps against the clock on
 * one thread or several, filling and warming up, reporting figures. */

#include "workload.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREAD_COUNT_MAX 64
#define BATCH_COUNT 1000

double bench_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t bench_nanoseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare_numbers(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

double bench_median(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    return count % 2 == 1 ? numbers[count / 2]
                          : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

bool bench_is_store(const struct bench_store *store)
{
    return !store->is_floor;
}

bool bench_has_compaction(const struct bench_store *store)
{
    return store->compact != NULL;
}

bool bench_has_counters(const struct bench_store *store)
{
    return store->counters != NULL;
}

bool bench_has_order(const struct bench_store *store)
{
    return store->has_order;
}

void bench_report(struct bench_run *run, const char *metric, double value)
{
    char line[128];
    int length = snprintf(line, sizeof line, "%s %.17g\n", metric, value);
    if (length <= 0 || write(run->result_fd, line, (size_t)length) != length) {
        bench_fail("a result was not taken");
    }
}

bool bench_connect(const struct bench_store *store,
                   void *handle,
                   void **session_out)
{
    if (store->connect == NULL) {
        *session_out = handle;
        return true;
    }
    return store->connect(handle, session_out);
}

void bench_disconnect(const struct bench_store *store, void *session)
{
    if (store->connect != NULL && session != NULL) {
        store->disconnect(session);
    }
}

bool bench_open(struct bench_run *run, struct bench_opened *opened_out)
{
    *opened_out = (struct bench_opened){.store = run->store};
    if (!run->store->open(&run->settings, &opened_out->handle)) {
        opened_out->handle = NULL;
        return bench_fail("it does not open");
    }
    if (!bench_connect(run->store, opened_out->handle, &opened_out->session)) {
        opened_out->session = NULL;
        bench_close(opened_out);
        return bench_fail("there is no session to be had");
    }
    return true;
}

void bench_close(struct bench_opened *opened)
{
    if (opened->handle == NULL) {
        return;
    }
    bench_disconnect(opened->store, opened->session);
    opened->store->close(opened->handle);
    *opened = (struct bench_opened){.store = opened->store};
}

/* --- Steps against the clock --- */

struct drive_thread {
    struct bench_worker worker;
    const struct bench_load *load;
    void *handle;
    pthread_barrier_t *start;
    uint64_t done;
    double begin;
    double end;
    bool has_failed;
};

static void drive(struct drive_thread *thread)
{
    const struct bench_load *load = thread->load;
    uint64_t clock_step = load->clock_step > 0 ? load->clock_step : 64;
    thread->begin = bench_now();
    uint64_t i = 0;
    while (i < load->count_max) {
        if (!load->step(&thread->worker, i)) {
            thread->has_failed = true;
            break;
        }
        i++;
        if (i % clock_step == 0 &&
            bench_now() - thread->begin > load->seconds) {
            break;
        }
    }
    thread->end = bench_now();
    thread->done = i;
}

/* For every thread but the first, which uses the session that is already
 * open. */
static void *drive_with_session(void *argument)
{
    struct drive_thread *thread = argument;
    if (!bench_connect(
            thread->worker.store, thread->handle, &thread->worker.session)) {
        thread->worker.session = NULL;
        thread->has_failed = true;
    }
    (void)pthread_barrier_wait(thread->start);
    if (!thread->has_failed) {
        drive(thread);
    }
    bench_disconnect(thread->worker.store, thread->worker.session);
    return NULL;
}

static void drive_together(struct drive_thread *threads, unsigned count)
{
    pthread_t ids[THREAD_COUNT_MAX];
    pthread_barrier_t start;
    (void)pthread_barrier_init(&start, NULL, count);
    for (unsigned i = 1; i < count; i++) {
        threads[i].start = &start;
        if (pthread_create(&ids[i], NULL, drive_with_session, &threads[i]) !=
            0) {
            /* The others would wait at the barrier forever. */
            (void)fprintf(stderr, "no thread to be had\n");
            abort();
        }
    }
    (void)pthread_barrier_wait(&start);
    drive(&threads[0]);
    for (unsigned i = 1; i < count; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    (void)pthread_barrier_destroy(&start);
}

bool bench_drive(struct bench_run *run,
                 const struct bench_opened *opened,
                 const struct bench_load *load,
                 struct bench_done *done_out)
{
    static struct drive_thread threads[THREAD_COUNT_MAX];
    unsigned count = load->threads > 0 ? load->threads : 1;
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (struct drive_thread){
            .worker = {.store = run->store,
                       .session = i == 0 ? opened->session : NULL,
                       .keys = run->settings.keys,
                       .random = bench_scramble(run->seed + i),
                       .extra = load->extra},
            .load = load,
            .handle = opened->handle};
    }
    if (count == 1) {
        drive(&threads[0]);
    } else {
        drive_together(threads, count);
    }

    *done_out = (struct bench_done){0};
    double begin = threads[0].begin;
    double end = threads[0].end;
    bool has_failed = false;
    for (unsigned i = 0; i < count; i++) {
        has_failed = has_failed || threads[i].has_failed;
        done_out->count += threads[i].done;
        begin = threads[i].begin < begin ? threads[i].begin : begin;
        end = threads[i].end > end ? threads[i].end : end;
    }
    done_out->seconds = end - begin;
    return !has_failed || bench_fail("a step failed");
}

bool bench_drive_and_report(struct bench_run *run,
                            const struct bench_opened *opened,
                            const struct bench_load *load,
                            const char *metric)
{
    struct bench_done done;
    if (!bench_drive(run, opened, load, &done)) {
        return false;
    }
    bench_report(run, metric, (double)done.count / done.seconds / 1e6);
    return true;
}

bool bench_drive_and_report_time(struct bench_run *run,
                                 const struct bench_opened *opened,
                                 const struct bench_load *load,
                                 const char *metric)
{
    struct bench_done done;
    if (!bench_drive(run, opened, load, &done)) {
        return false;
    }
    bench_report(run, metric, done.seconds / (double)done.count * 1e6);
    return true;
}

/* --- Steps that several workloads take --- */

bool bench_step_get(struct bench_worker *worker, uint64_t i)
{
    (void)i;
    bench_key(bench_random_below(&worker->random, worker->keys), worker->key);
    enum bench_answer answer =
        worker->store->get(worker->session, worker->key, worker->value);
    if (answer != BENCH_FOUND) {
        return bench_fail("a key that was set is not there");
    }
    return bench_value_fits(worker->key, worker->value) ||
           bench_fail("the value of another key was read");
}

bool bench_step_overwrite(struct bench_worker *worker, uint64_t i)
{
    bench_key(bench_random_below(&worker->random, worker->keys), worker->key);
    bench_value(worker->key, i + 1, worker->value);
    return worker->store->set(worker->session, worker->key, worker->value);
}

/* --- Filling and warming up --- */

/* Makes the key of a number, of so many. */
typedef void (*key_maker)(uint64_t number, uint64_t count, char *key_out);

static void make_key(uint64_t number, uint64_t count, char *key_out)
{
    (void)count;
    bench_key(number, key_out);
}

/* Sets so many keys, with one call. */
static bool set_some(struct bench_run *run,
                     const struct bench_opened *opened,
                     key_maker make,
                     uint64_t first,
                     size_t count)
{
    static struct bench_pair pairs[BATCH_COUNT];
    for (size_t i = 0; i < count; i++) {
        make(first + i, run->settings.keys, pairs[i].key);
        bench_value(pairs[i].key, 0, pairs[i].value);
    }
    return count == 1
               ? run->store->set(opened->session, pairs[0].key, pairs[0].value)
               : run->store->set_batch(opened->session, pairs, count);
}

static bool fill(struct bench_run *run,
                 const struct bench_opened *opened,
                 key_maker make,
                 uint64_t first)
{
    const struct bench_store *store = run->store;
    bool in_batches = store->is_faster_in_batch && store->set_batch != NULL;
    uint64_t step = in_batches ? BATCH_COUNT : 1;
    double begin = bench_now();
    for (uint64_t i = first; i < run->settings.keys; i += step) {
        uint64_t left = run->settings.keys - i;
        size_t count = (size_t)(left < step ? left : step);
        if (!set_some(run, opened, make, i, count)) {
            return bench_fail("it could not be filled");
        }
        if ((i - first) % BATCH_COUNT == 0 &&
            bench_now() - begin > run->prepare_seconds) {
            return bench_fail("too slow: it was not full after %.0f s",
                              run->prepare_seconds);
        }
    }
    return true;
}

bool bench_fill(struct bench_run *run,
                const struct bench_opened *opened,
                uint64_t first)
{
    return fill(run, opened, make_key, first);
}

bool bench_fill_groups(struct bench_run *run, const struct bench_opened *opened)
{
    return fill(run, opened, bench_key_grouped, 0);
}

bool bench_fill_timed(struct bench_run *run,
                      const struct bench_opened *opened,
                      double seconds,
                      struct bench_timed_fill *fill_out)
{
    double begin = bench_now();
    double before = begin;
    *fill_out = (struct bench_timed_fill){.count = 0};
    while (fill_out->count < run->settings.keys && before - begin <= seconds) {
        char key[BENCH_KEY_SIZE];
        char value[BENCH_VALUE_SIZE];
        bench_key(fill_out->count, key);
        bench_value(key, 0, value);
        if (!run->store->set(opened->session, key, value)) {
            return false;
        }
        double now = bench_now();
        double took = now - before;
        fill_out->longest = took > fill_out->longest ? took : fill_out->longest;
        fill_out->count++;
        before = now;
    }
    fill_out->seconds = before - begin;
    return true;
}

bool bench_remove_index(const struct bench_run *run)
{
    const char *name = run->store->index_file;
    char path[PATH_MAX];
    if (!bench_path(path, sizeof path, run->settings.dir, name)) {
        return false;
    }
    return unlink(path) == 0 || bench_fail("%s: %s", name, strerror(errno));
}

bool bench_warm_up(struct bench_run *run, const struct bench_opened *opened)
{
    const struct bench_load load = {.step = bench_step_get,
                                    .count_max = run->settings.keys * 2,
                                    .seconds = run->seconds / 2};
    struct bench_done done;
    return bench_drive(run, opened, &load, &done);
}
