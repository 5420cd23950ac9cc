/* SPDX-License-Identifier: MIT */

/* Checks that a set that returned survives the death of the process. A child
 * sets keys and kills itself with the store open; then the store is opened
 * again, which may repair it, and all those keys are read. */

#include "workload.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define SET_COUNT_MAX 10000u

static void set_and_die(struct bench_run *run, uint64_t count)
{
    struct bench_opened opened;
    bool is_done = bench_open(run, &opened);
    for (uint64_t i = 0; is_done && i < count; i++) {
        char key[BENCH_KEY_SIZE];
        char value[BENCH_VALUE_SIZE];
        bench_key(i, key);
        bench_value(key, 0, value);
        is_done = run->store->set(opened.session, key, value);
    }
    (void)raise(is_done ? SIGKILL : SIGABRT);
    _exit(1);
}

static bool is_killed(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) == -1) {
        if (errno != EINTR) {
            return false;
        }
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool run_kill(struct bench_run *run)
{
    uint64_t keys = run->settings.keys;
    uint64_t count = keys < SET_COUNT_MAX ? keys : SET_COUNT_MAX;
    pid_t child = fork();
    if (child == 0) {
        set_and_die(run, count);
    }
    if (child == -1 || !is_killed(child)) {
        return bench_fail("the sets failed before the kill");
    }

    struct bench_opened opened;
    double begin = bench_now();
    if (!bench_open(run, &opened)) {
        return false;
    }
    bench_report(run, "open", (bench_now() - begin) * 1e3);
    uint64_t lost = 0;
    for (uint64_t i = 0; i < count; i++) {
        char key[BENCH_KEY_SIZE];
        char value[BENCH_VALUE_SIZE];
        bench_key(i, key);
        bool is_there =
            run->store->get(opened.session, key, value) == BENCH_FOUND &&
            bench_value_fits(key, value);
        lost += is_there ? 0 : 1;
    }
    bench_close(&opened);
    bench_report(run, "lost", (double)lost * 100 / (double)count);
    return true;
}

static const struct bench_workload kill_workload = {
    .name = "kill",
    .group = "After kill -9",
    .what = "up to 10,000 sets, kill -9 with the store open, open it again and "
            "look for all of them",
    .beginning = BENCH_EMPTY,
    .metrics = {{"lost", "sets lost", "%", true, NULL},
                {"open", "opening it again", "ms", true, NULL}},
    .is_possible = bench_is_store,
    .run = run_kill};

const struct bench_workload *const kill_workloads[] = {&kill_workload, NULL};
