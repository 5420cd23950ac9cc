/* SPDX-License-Identifier: MIT */

/* Measures one cell in a process of its own, so that no store inherits
 * another's memory or threads, and one that crashes or hangs costs only its own
 * cell. The child leads a process group: the commands that it starts end with
 * it. It writes lines into a pipe: "metric value", or "! reason" if it
 * fails. */

#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t caught_signal;

static void remember(int number)
{
    caught_signal = number;
}

void bench_cell_catch_signals(void)
{
    /* Without SA_RESTART: a wait for the child must be interrupted. */
    struct sigaction action = {.sa_handler = remember};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

int bench_cell_signal(void)
{
    return caught_signal;
}

/* --- The child --- */

static void run_child(const struct bench_workload *workload,
                      struct bench_run *run)
{
    (void)setpgid(0, 0);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    double limit =
        10 + 20 * run->seconds + 2 * (run->fill_seconds + run->prepare_seconds);
    (void)alarm((unsigned)limit);
    bool is_done = workload->run(run) && bench_failure() == NULL;
    if (!is_done) {
        const char *reason = bench_failure();
        (void)dprintf(
            run->result_fd, "! %s\n", reason != NULL ? reason : "it failed");
    }
    /* Not exit, which would write out a copy of the parent's buffers. */
    _exit(is_done ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* --- The parent --- */

static void take_line(const struct bench_workload *workload,
                      struct bench_cell *cell,
                      const char *line)
{
    if (line[0] == '!') {
        cell->has_failed = true;
        (void)snprintf(cell->note, sizeof cell->note, "%s", line + 2);
        return;
    }
    const char *number = strchr(line, ' ');
    for (size_t i = 0; number != NULL && workload->metrics[i].name != NULL;
         i++) {
        size_t length = (size_t)(number - line);
        const char *name = workload->metrics[i].name;
        if (strlen(name) == length && memcmp(name, line, length) == 0 &&
            cell->counts[i] < BENCH_ROUND_COUNT_MAX) {
            cell->values[i][cell->counts[i]++] = strtod(number, NULL);
        }
    }
}

static void take_lines(const struct bench_workload *workload,
                       struct bench_cell *cell,
                       char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        take_line(workload, cell, line);
    }
}

/* Reads until the child, and all that it started, have closed the pipe. */
static void read_results(int fd, pid_t child, char *text, size_t size)
{
    size_t used = 0;
    while (used + 1 < size) {
        ssize_t got = read(fd, text + used, size - 1 - used);
        if (got > 0) {
            used += (size_t)got;
        } else if (got == -1 && errno == EINTR && caught_signal != 0) {
            (void)kill(-child, SIGKILL);
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    text[used] = '\0';
}

static bool judge(struct bench_cell *cell, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    if (WIFSIGNALED(status)) {
        cell->has_failed = true;
        if (WTERMSIG(status) == SIGALRM) {
            (void)snprintf(
                cell->note, sizeof cell->note, "it did not end in time");
        } else {
            (void)snprintf(cell->note,
                           sizeof cell->note,
                           "its process was ended by signal %d",
                           WTERMSIG(status));
        }
    }
    return false;
}

bool bench_cell_run(const struct bench_workload *workload,
                    struct bench_run *run,
                    struct bench_cell *cell)
{
    int ends[2];
    if (pipe(ends) != 0) {
        cell->has_failed = true;
        (void)snprintf(cell->note, sizeof cell->note, "no pipe to be had");
        return false;
    }
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    run->result_fd = ends[1];
    double begin = bench_now();
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        run_child(workload, run);
    }
    (void)close(ends[1]);
    int status = 0;
    char text[16384] = "";
    if (child > 0) {
        (void)setpgid(child, child);
        read_results(ends[0], child, text, sizeof text);
        while (waitpid(child, &status, 0) == -1 && errno == EINTR) {
            (void)kill(-child, SIGKILL);
        }
        /* Nothing that the child started may be left. */
        (void)kill(-child, SIGKILL);
    }
    (void)close(ends[0]);
    cell->seconds = bench_now() - begin;
    if (caught_signal != 0) {
        return false;
    }
    take_lines(workload, cell, text);
    return child > 0 && judge(cell, status);
}
