/* SPDX-License-Identifier: MIT */

/* How a compaction affects threads that set and get. The store has a log of
 * which about half is stale; one thread sets random keys, another gets some,
 * both at 20,000 a second or as fast as they can; and there is one compaction:
 * the store's own, by the library, as soon as it may; one that another thread
 * orders on the same handle; or one by another process. To compare, as much
 * time without one: half before the compaction and half after it.
 *
 * In the same run, at 20,000 a second, one thread does nothing but read the
 * clock, and another writes the bytes of a record to a file next to the store:
 * their waits are caused by the machine, not by the store. */

#include "compactor.h"
#include "meter.h"
#include "stale.h"
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RATE 20000u
#define INTERVAL (1000000000u / RATE)
#define RECORD_SIZE 169

/* The speed of a compaction, to guess how long it will take. */
#define LOG_BYTES_PER_SECOND 4e8

/* The threads that are measured. */
enum { SETS, GETS, CLOCK, WRITES, METER_COUNT };

struct stall {
    struct bench_run *run;
    struct bench_compactor compactor;
    struct bench_opened opened;
    struct bench_timeline timeline;
    struct bench_meter meters[METER_COUNT];
    struct bench_worker setter;
    struct bench_worker getter;
    int control_fd; /* Where the bare writes go. */
    uint64_t log_bytes;
    uint64_t compactions; /* In the stretch. */
};

static void pause_for(double seconds)
{
    double end = bench_now() + seconds;
    const struct timespec step = {.tv_nsec = 1000000};
    while (bench_now() < end) {
        (void)nanosleep(&step, NULL);
    }
}

/* --- What is measured --- */

static void choose_value(void *context, uint64_t i)
{
    struct bench_worker *worker = context;
    bench_key(bench_random_below(&worker->random, worker->keys), worker->key);
    bench_value(worker->key, i + 2, worker->value);
}

static bool set(void *context, uint64_t i)
{
    struct bench_worker *worker = context;
    (void)i;
    return worker->store->set(worker->session, worker->key, worker->value);
}

static void choose_key(void *context, uint64_t i)
{
    struct bench_worker *worker = context;
    (void)i;
    bench_key(bench_random_below(&worker->random, worker->keys), worker->key);
}

static bool get(void *context, uint64_t i)
{
    struct bench_worker *worker = context;
    (void)i;
    enum bench_answer answer =
        worker->store->get(worker->session, worker->key, worker->value);
    return (answer == BENCH_FOUND &&
            bench_value_fits(worker->key, worker->value)) ||
           bench_fail("a key that was set has not its value");
}

static bool write_bare(void *context, uint64_t i)
{
    static const char record[RECORD_SIZE];
    const int *fd = context;
    return pwrite(*fd, record, sizeof record, (off_t)(i * sizeof record)) ==
               RECORD_SIZE ||
           bench_fail("%s", strerror(errno));
}

static bool open_control(struct stall *stall)
{
    char path[PATH_MAX];
    if (!bench_path(path, sizeof path, stall->run->settings.dir, "control")) {
        return false;
    }
    stall->control_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return stall->control_fd != -1 || bench_fail("%s", strerror(errno));
}

static bool init_worker(struct stall *stall,
                        struct bench_worker *worker,
                        uint64_t seed)
{
    *worker = (struct bench_worker){.store = stall->run->store,
                                    .keys = stall->run->settings.keys,
                                    .random = stall->run->seed + seed};
    return bench_connect(
        stall->run->store, stall->opened.handle, &worker->session);
}

static bool start_meters(struct stall *stall, bool is_paced)
{
    const struct bench_meter meters[METER_COUNT] = {
        [SETS] = {.prepare = choose_value,
                  .act = set,
                  .context = &stall->setter,
                  .interval = is_paced ? INTERVAL : 0},
        [GETS] = {.prepare = choose_key,
                  .act = get,
                  .context = &stall->getter,
                  .interval = is_paced ? INTERVAL : 0},
        [CLOCK] = {.interval = INTERVAL},
        [WRITES] = {.act = write_bare,
                    .context = &stall->control_fd,
                    .interval = INTERVAL}};
    bool is_done = open_control(stall) &&
                   init_worker(stall, &stall->setter, 1) &&
                   init_worker(stall, &stall->getter, 2);
    for (unsigned i = 0; is_done && i < METER_COUNT; i++) {
        stall->meters[i] = meters[i];
        stall->meters[i].timeline = &stall->timeline;
        stall->meters[i].phase = i * INTERVAL / METER_COUNT;
        is_done = bench_meter_start(&stall->meters[i]);
    }
    return is_done;
}

static bool end_meters(struct stall *stall)
{
    bool is_done = true;
    atomic_store(&stall->timeline.must_end, true);
    for (unsigned i = 0; i < METER_COUNT; i++) {
        is_done = bench_meter_join(&stall->meters[i]) && is_done;
    }
    bench_disconnect(stall->run->store, stall->setter.session);
    bench_disconnect(stall->run->store, stall->getter.session);
    (void)close(stall->control_fd);
    return is_done;
}

static bool has_failed(const struct stall *stall)
{
    bool has_one = false;
    for (unsigned i = 0; i < METER_COUNT; i++) {
        has_one = has_one || atomic_load(&stall->meters[i].has_failed);
    }
    return has_one;
}

/* --- The stretches --- */

/* Waits until each meter has been on time once after a mark: what waited during
 * the compaction must not still wait in the next stretch. */
static void let_catch_up(struct stall *stall, enum bench_mark mark)
{
    double limit = bench_now() + stall->run->prepare_seconds / 5;
    for (unsigned i = 0; i < METER_COUNT; i++) {
        while (!bench_meter_is_past(&stall->meters[i], mark) &&
               !has_failed(stall) && bench_now() < limit) {
            pause_for(0.001);
        }
    }
}

static bool measure(struct stall *stall)
{
    struct bench_timeline *timeline = &stall->timeline;
    double before = (double)stall->log_bytes / LOG_BYTES_PER_SECOND / 2;
    before = before > 0.05 ? before : 0.05;
    pause_for(0.1);
    bench_timeline_mark(timeline, BENCH_ALONE_BEGINS);
    pause_for(before);
    bench_timeline_mark(timeline, BENCH_COMPACTING_BEGINS);
    if (!bench_compactor_run(
            &stall->compactor, &stall->opened, &stall->compactions)) {
        return false;
    }
    bench_timeline_mark(timeline, BENCH_COMPACTING_ENDS);
    let_catch_up(stall, BENCH_COMPACTING_ENDS);
    bench_timeline_mark(timeline, BENCH_CAUGHT_UP);
    sync();
    let_catch_up(stall, BENCH_CAUGHT_UP);
    double left = bench_timeline_seconds(timeline, BENCH_COMPACTING) - before;
    bench_timeline_mark(timeline, BENCH_ALONE_AGAIN_BEGINS);
    pause_for(left > 0.05 ? left : 0.05);
    bench_timeline_mark(timeline, BENCH_ALONE_AGAIN_ENDS);
    return true;
}

/* --- What came out --- */

static void report_times(struct bench_run *run,
                         const char *name,
                         const struct bench_histogram *histogram)
{
    static const struct {
        const char *metric;
        double share;
    } places[] = {{"p50", 0.5},
                  {"p99", 0.99},
                  {"p99.9", 0.999},
                  {"p99.99", 0.9999},
                  {"max", 1}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char metric[64];
        uint64_t time = bench_histogram_at(histogram, places[i].share);
        (void)snprintf(metric, sizeof metric, "%s-%s", name, places[i].metric);
        bench_report(run, metric, (double)time / 1e3);
    }
}

/* The rate during the compaction divided by the rate without one. */
static void report_ratio(struct stall *stall, unsigned meter, const char *name)
{
    const struct bench_times *times = stall->meters[meter].times;
    double beside = (double)times[BENCH_COMPACTING].done /
                    bench_timeline_seconds(&stall->timeline, BENCH_COMPACTING);
    double alone = (double)times[BENCH_ALONE].done /
                   bench_timeline_seconds(&stall->timeline, BENCH_ALONE);
    if (alone > 0) {
        bench_report(stall->run, name, beside / alone);
    }
}

static void report(struct stall *stall)
{
    static const struct {
        const char *alone;
        const char *compacting;
    } names[METER_COUNT] = {[SETS] = {"set-alone", "set"},
                            [GETS] = {"get-alone", "get"},
                            [CLOCK] = {"clock-alone", "clock"},
                            [WRITES] = {"write-alone", "write"}};
    struct bench_run *run = stall->run;
    for (unsigned i = 0; i < METER_COUNT; i++) {
        const struct bench_times *times = stall->meters[i].times;
        report_times(run, names[i].alone, &times[BENCH_ALONE].waits);
        report_times(run, names[i].compacting, &times[BENCH_COMPACTING].waits);
    }
    const struct bench_times *sets = stall->meters[SETS].times;
    report_times(run, "call-alone", &sets[BENCH_ALONE].calls);
    report_times(run, "call", &sets[BENCH_COMPACTING].calls);
    const struct bench_histogram *waits = &sets[BENCH_COMPACTING].waits;
    bench_report(
        run, "p99.99", (double)bench_histogram_at(waits, 0.9999) / 1e6);
    bench_report(run, "longest", (double)waits->max / 1e6);
    report_ratio(stall, SETS, "sets");
    report_ratio(stall, GETS, "gets");
    bench_report(run,
                 "seconds",
                 bench_timeline_seconds(&stall->timeline, BENCH_COMPACTING));
    bench_report(run,
                 "seconds-alone",
                 bench_timeline_seconds(&stall->timeline, BENCH_ALONE));
    bench_report(run, "compactions", (double)stall->compactions);
}

static bool begin(struct stall *stall)
{
    struct bench_run *run = stall->run;
    struct bench_counters counters;
    if (!bench_stale_copy(run) ||
        !bench_compactor_init(&stall->compactor, run) ||
        !bench_open(run, &stall->opened)) {
        return false;
    }
    run->store->let_compact(stall->opened.session, false);
    if (!run->store->counters(stall->opened.session, &counters)) {
        return false;
    }
    stall->log_bytes = counters.log_bytes;
    sync();
    return bench_warm_up(run, &stall->opened);
}

static bool run_stall(struct bench_run *run,
                      enum bench_compacts compacts,
                      bool is_paced)
{
    static struct stall stall;
    stall.run = run;
    stall.compactor.who = compacts;
    stall.control_fd = -1;
    bool is_done =
        begin(&stall) && start_meters(&stall, is_paced) && measure(&stall);
    is_done = end_meters(&stall) && is_done;
    bench_close(&stall.opened);
    if (is_done) {
        report(&stall);
    }
    return is_done;
}

/* --- The workloads --- */

static bool run_own(struct bench_run *run)
{
    return run_stall(run, BENCH_COMPACTS_ITSELF, false);
}

static bool run_own_paced(struct bench_run *run)
{
    return run_stall(run, BENCH_COMPACTS_ITSELF, true);
}

static bool run_thread(struct bench_run *run)
{
    return run_stall(run, BENCH_COMPACTS_THREAD, false);
}

static bool run_thread_paced(struct bench_run *run)
{
    return run_stall(run, BENCH_COMPACTS_THREAD, true);
}

static bool run_process(struct bench_run *run)
{
    return run_stall(run, BENCH_COMPACTS_PROCESS, false);
}

static bool run_process_paced(struct bench_run *run)
{
    return run_stall(run, BENCH_COMPACTS_PROCESS, true);
}

static bool has_sharing_counters(const struct bench_store *store)
{
    return bench_has_counters(store) && store->shares_writing;
}

#define ROW(name, row) \
    {name "-p50", "p50", "us", true, row}, \
        {name "-p99", "p99", "us", true, row}, \
        {name "-p99.9", "p99.9", "us", true, row}, \
        {name "-p99.99", "p99.99", "us", true, row}, \
    { \
        name "-max", "max", "us", true, row \
    }

/* clang-format off */
#define METRICS \
    {{"p99.99", "set, p99.99", "ms", true, NULL}, \
     {"longest", "set, longest", "ms", true, NULL}, \
     {"sets", "sets, to those without", "x", false, NULL}, \
     {"gets", "gets, to those without", "x", false, NULL}, \
     {"seconds", "compaction", "s", true, BENCH_ASIDE}, \
     {"seconds-alone", "without", "s", true, BENCH_ASIDE}, \
     {"compactions", "compactions", "times", true, BENCH_ASIDE}, \
     ROW("set-alone", "set"), \
     ROW("set", "set, compacting"), \
     ROW("call-alone", "set, its call"), \
     ROW("call", "set, its call, compacting"), \
     ROW("get-alone", "get"), \
     ROW("get", "get, compacting"), \
     ROW("clock-alone", "clock"), \
     ROW("clock", "clock, compacting"), \
     ROW("write-alone", "bare write"), \
     ROW("write", "bare write, compacting")}
/* clang-format on */

#define STALL \
    .beginning = BENCH_EMPTY, .sizes = BENCH_TEN_TIMES, .is_run_once = true, \
    .is_long = true, .needs_threads = true, .metrics = METRICS

static const struct bench_workload own = {
    .name = "stall",
    .group = "Latency beside its own compaction",
    .what = "sets and gets as fast as they can, while the store compacts "
            "itself, and without",
    .is_possible = bench_has_counters,
    .run = run_own,
    STALL};

static const struct bench_workload own_paced = {
    .name = "stall-paced",
    .group = "Latency beside its own compaction, 20 k/s",
    .what = "the same, 20,000 a second each, timed from when each was due",
    .is_possible = bench_has_counters,
    .run = run_own_paced,
    STALL};

static const struct bench_workload thread = {
    .name = "stall-thread",
    .group = "Latency beside a thread that compacts",
    .what = "sets and gets as fast as they can, while another thread compacts "
            "with the same handle, and without",
    .is_possible = has_sharing_counters,
    .run = run_thread,
    .is_on_request = true,
    STALL};

static const struct bench_workload thread_paced = {
    .name = "stall-thread-paced",
    .group = "Latency beside a thread that compacts, 20 k/s",
    .what = "the same, 20,000 a second each, timed from when each was due",
    .is_possible = has_sharing_counters,
    .run = run_thread_paced,
    .is_on_request = true,
    STALL};

static const struct bench_workload process = {
    .name = "stall-process",
    .group = "Latency beside a process that compacts",
    .what = "sets and gets as fast as they can, while another process "
            "compacts, and without",
    .is_possible = has_sharing_counters,
    .run = run_process,
    .is_on_request = true,
    STALL};

static const struct bench_workload process_paced = {
    .name = "stall-process-paced",
    .group = "Latency beside a process that compacts, 20 k/s",
    .what = "the same, 20,000 a second each, timed from when each was due",
    .is_possible = has_sharing_counters,
    .run = run_process_paced,
    .is_on_request = true,
    STALL};

const struct bench_workload *const stall_workloads[] =
    {&own, &own_paced, &thread, &thread_paced, &process, &process_paced, NULL};
