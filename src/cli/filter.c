/* SPDX-License-Identifier: MIT */

/* Runs a command that reads bytes and prints others: both at once, since it may
 * print before it has read everything. */

#include "cli/filter.h"

#include "cli/child.h"
#include "cli/output.h"
#include <kvstore.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct filter {
    const char *bytes;
    size_t left;
    bool has_newline; /* To be written after the bytes. */
    int to_fd;        /* -1: all was written, or it reads no more. */
    int from_fd;
    struct cli_filtered *filtered;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

/* Writes what fits. A command that reads no more is no error. */
static void feed(struct filter *filter)
{
    if (filter->left == 0 && filter->has_newline) {
        filter->bytes = "\n";
        filter->left = 1;
        filter->has_newline = false;
    }
    ssize_t written = filter->left == 0
                          ? 0
                          : write(filter->to_fd, filter->bytes, filter->left);
    if (written > 0) {
        filter->bytes += written;
        filter->left -= (size_t)written;
    }
    bool is_broken = written < 0 && errno != EINTR && errno != EAGAIN;
    if (is_broken || (filter->left == 0 && !filter->has_newline)) {
        close_fd(&filter->to_fd);
    }
}

/* Makes room for more. False: that is too much, or there is no memory, which was
 * reported. */
static bool grow(struct cli_filtered *filtered)
{
    /* One for a newline, and one to notice that there is more. */
    const size_t largest = (size_t)KVSTORE_VALUE_SIZE_MAX + 2;
    size_t capacity = filtered->capacity == 0 ? 65536 : 2 * filtered->capacity;

    if (filtered->capacity == largest) {
        cli_tell("the command prints more bytes than the limit of %ju",
                 (uintmax_t)KVSTORE_VALUE_SIZE_MAX);
        return false;
    }
    capacity = capacity < largest ? capacity : largest;
    char *bytes = realloc(filtered->bytes, capacity);
    if (bytes == NULL) {
        cli_tell("out of memory");
        return false;
    }
    filtered->bytes = bytes;
    filtered->capacity = capacity;
    return true;
}

/* Reads what there is. False: that failed, which was reported. */
static bool drain(struct filter *filter)
{
    struct cli_filtered *filtered = filter->filtered;

    if (filtered->size == filtered->capacity && !grow(filtered)) {
        return false;
    }
    ssize_t got = read(filter->from_fd,
                       filtered->bytes + filtered->size,
                       filtered->capacity - filtered->size);
    if (got > 0) {
        filtered->size += (size_t)got;
    } else if (got == 0) {
        close_fd(&filter->from_fd);
    } else if (errno != EINTR && errno != EAGAIN) {
        cli_tell("cannot read what the command prints: %s", strerror(errno));
        return false;
    }
    return true;
}

static bool pass_on(struct filter *filter)
{
    while (filter->from_fd >= 0) {
        struct pollfd fds[2] = {{.fd = filter->from_fd, .events = POLLIN},
                                {.fd = filter->to_fd, .events = POLLOUT}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            cli_tell("cannot wait for the command: %s", strerror(errno));
            return false;
        }
        if (fds[1].revents != 0) {
            feed(filter);
        }
        if (fds[0].revents != 0 && !drain(filter)) {
            return false;
        }
    }
    return true;
}

/* Starts the command between two pipes, of which the filter keeps an end of
 * each. Returns 0 or an errno. */
static int start(struct filter *filter, char **words, pid_t *child_out)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    sigset_t mask;
    int error = EMFILE;

    if (cli_child_pipe(in) && cli_child_pipe(out)) {
        const int streams[2] = {in[0], out[1]};
        (void)sigprocmask(SIG_BLOCK, NULL, &mask);
        /* A command that reads nothing must not keep this from reading. */
        (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
        error = cli_child_start(words, streams, &mask, child_out);
    }
    close_fd(&in[0]);
    close_fd(&out[1]);
    filter->to_fd = in[1];
    filter->from_fd = out[0];
    return error;
}

bool cli_filter_run(char **words,
                    const void *bytes,
                    size_t size,
                    bool has_newline,
                    struct cli_filtered *filtered_out)
{
    struct filter filter = {.bytes = bytes,
                            .left = size,
                            .has_newline = has_newline,
                            .filtered = filtered_out};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    pid_t child = -1;
    bool is_whole = false;

    *filtered_out = (struct cli_filtered){0};
    (void)sigaction(SIGPIPE, &ignore, &before);
    int error = start(&filter, words, &child);
    if (error != 0) {
        cli_tell("cannot run '%s': %s", words[0], strerror(error));
    } else {
        is_whole = pass_on(&filter);
    }
    close_fd(&filter.to_fd);
    close_fd(&filter.from_fd);
    if (error == 0) {
        filtered_out->status = cli_child_wait(child);
    }
    (void)sigaction(SIGPIPE, &before, NULL);
    return is_whole;
}
