/* SPDX-License-Identifier: MIT */

/* One compaction of an open store: by the store itself, on order in this
 * process, or on order in another one, which is forked before there are
 * threads. */

#include "compactor.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- The other process --- */

static void compact_on_order(struct bench_run *run, int order_fd, int answer_fd)
{
    char order;
    if (read(order_fd, &order, 1) == 1) {
        struct bench_opened opened;
        bool is_done =
            bench_open(run, &opened) && run->store->compact(opened.session);
        char answer = is_done ? 'd' : 'f';
        (void)!write(answer_fd, &answer, 1);
    }
    _exit(0);
}

/* The process ends when no other can give it orders any more, or with the
 * process group. */
static bool start_process(struct bench_compactor *compactor)
{
    int orders[2];
    int answers[2];
    if (pipe(orders) != 0 || pipe(answers) != 0) {
        return bench_fail("pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(orders[1]);
        compact_on_order(compactor->run, orders[0], answers[1]);
    }
    (void)close(orders[0]);
    (void)close(answers[1]);
    compactor->order_fd = orders[1];
    compactor->answer_fd = answers[0];
    return child > 0 || bench_fail("fork: %s", strerror(errno));
}

static bool order_process(const struct bench_compactor *compactor)
{
    char answer = 'f';
    return (write(compactor->order_fd, "c", 1) == 1 &&
            read(compactor->answer_fd, &answer, 1) == 1 && answer == 'd') ||
           bench_fail("the other process could not compact");
}

/* --- The store itself --- */

static bool count(const struct bench_opened *opened, uint64_t *count_out)
{
    struct bench_counters counters = {0};
    bool is_told = opened->store->counters(opened->session, &counters);
    *count_out = counters.compactions;
    return is_told;
}

static bool let_it(const struct bench_compactor *compactor,
                   const struct bench_opened *opened,
                   uint64_t before)
{
    const struct timespec step = {.tv_nsec = 1000000};
    double limit = bench_now() + compactor->run->prepare_seconds;
    uint64_t now = before;
    opened->store->let_compact(opened->session, true);
    while (now == before) {
        (void)nanosleep(&step, NULL);
        /* The threads that set may have failed, and then none becomes due. */
        if (bench_failure() != NULL || bench_now() > limit) {
            return bench_fail("the store did not compact itself");
        }
        if (!count(opened, &now)) {
            return false;
        }
    }
    opened->store->let_compact(opened->session, false);
    return true;
}

/* --- All of them --- */

bool bench_compactor_init(struct bench_compactor *compactor,
                          struct bench_run *run)
{
    compactor->run = run;
    run->settings.compacts_by_order = compactor->who != BENCH_COMPACTS_ITSELF;
    return compactor->who != BENCH_COMPACTS_PROCESS || start_process(compactor);
}

static bool compact(const struct bench_compactor *compactor,
                    const struct bench_opened *opened,
                    uint64_t before)
{
    switch (compactor->who) {
    case BENCH_COMPACTS_ITSELF:
        return let_it(compactor, opened, before);
    case BENCH_COMPACTS_THREAD:
        return opened->store->compact(opened->session);
    case BENCH_COMPACTS_PROCESS:
        return order_process(compactor);
    }
    return false;
}

bool bench_compactor_run(struct bench_compactor *compactor,
                         const struct bench_opened *opened,
                         uint64_t *count_out)
{
    uint64_t before;
    uint64_t after = 0;
    bool is_done = count(opened, &before) &&
                   compact(compactor, opened, before) && count(opened, &after);
    *count_out = is_done ? after - before : 0;
    return is_done || bench_fail("it could not be compacted");
}
