/* SPDX-License-Identifier: MIT */

/* Runs another command. That it could not be run comes through a pipe which a
 * successful exec closes: so the caller knows it for certain, and no status of
 * the command can look like it. */

#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char **cli_child_words(char **operands)
{
    if (operands[0] != NULL && strcmp(operands[0], "--") == 0) {
        operands++;
    }
    return operands[0] == NULL ? NULL : operands;
}

bool cli_child_pipe(int ends_out[2])
{
    return pipe(ends_out) == 0 &&
           fcntl(ends_out[0], F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(ends_out[1], F_SETFD, FD_CLOEXEC) == 0;
}

/* What the child does; it never returns. */
static void become(char **words,
                   const int streams[2],
                   const sigset_t *mask,
                   int report_fd)
{
    bool is_ready = true;

    for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
        is_ready = is_ready && (streams[fd] < 0 || dup2(streams[fd], fd) == fd);
    }
    /* What this program ignores for itself. */
    (void)signal(SIGXFSZ, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    if (is_ready) {
        (void)execvp(words[0], words);
    }
    int error = errno;
    /* If even that fails, the status at least is no success. */
    if (write(report_fd, &error, sizeof(error)) < 0) {
        _exit(126);
    }
    _exit(127);
}

/* Returns what the child reports: an errno, or 0 if the pipe was closed. */
static int read_report(int fd)
{
    int error = 0;
    ssize_t size = -1;

    do {
        size = read(fd, &error, sizeof(error));
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof(error) ? error : 0;
}

int cli_child_start(char **words,
                    const int streams[2],
                    const sigset_t *mask,
                    pid_t *child_out)
{
    struct sigaction is_default = {.sa_handler = SIG_DFL};
    int report[2] = {-1, -1};

    if (!cli_child_pipe(report)) {
        return errno;
    }
    /* Where it is ignored, nobody would learn how the child ended. */
    (void)sigaction(SIGCHLD, &is_default, NULL);
    pid_t child = fork();
    int error = child < 0 ? errno : 0;
    if (child == 0) {
        become(words, streams, mask, report[1]);
    }
    (void)close(report[1]);
    if (child > 0) {
        error = read_report(report[0]);
    }
    (void)close(report[0]);
    if (child > 0 && error != 0) {
        (void)cli_child_wait(child);
    }
    *child_out = child;
    return error;
}

int cli_child_wait(pid_t child)
{
    int status = 0;
    pid_t ended = -1;

    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    return ended == child ? status : -1;
}
