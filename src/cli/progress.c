/* SPDX-License-Identifier: MIT */

/* Lines that say how far a long pass over the log has got, how fast it is, and
 * how long it will take. */

#include "cli/progress.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Tests change these, so that no pass is too short. */
#ifndef CLI_SHOWN_AFTER_MS
#define CLI_SHOWN_AFTER_MS 1000
#endif
#ifndef CLI_SHOWN_EVERY_MS
#define CLI_SHOWN_EVERY_MS 200
#endif

/* Wide enough for the longest line, so that a shorter one covers it. */
#define LINE_WIDTH 72

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cli_progress_init(struct cli_progress *progress, bool quiet, bool wanted)
{
    bool is_terminal = isatty(STDERR_FILENO) == 1;

    *progress = (struct cli_progress){.doing = "reading store.log",
                                      .is_quiet = quiet,
                                      .is_terminal = is_terminal,
                                      .tells_tenths = wanted && !is_terminal,
                                      .begun_ms = now_ms()};
}

void cli_progress_begin(struct cli_progress *progress, const char *doing)
{
    cli_progress_clear(progress);
    progress->doing = doing;
    progress->begun_ms = now_ms();
    progress->done = 0;
    progress->tenths = 0;
}

static void describe(const struct cli_progress *progress,
                     uint64_t total,
                     int64_t now,
                     char *line,
                     size_t size)
{
    int64_t elapsed_ms = now - progress->begun_ms;
    uint64_t rate = /* kB per second. */
        progress->done / (uint64_t)(elapsed_ms > 0 ? elapsed_ms : 1);
    uint64_t left_ms = rate == 0 ? 0 : (total - progress->done) / rate;

    if (total == CLI_PROGRESS_ENDLESS) {
        (void)snprintf(line,
                       size,
                       "kvstore: %s: %" PRIu64 " MB, %" PRIu64 " MB/s",
                       progress->doing,
                       progress->done / 1000000,
                       rate / 1000);
        return;
    }
    (void)snprintf(line,
                   size,
                   "kvstore: %s: %3u %% of %" PRIu64 " MB, %" PRIu64
                   " MB/s, %" PRIu64 " s left",
                   progress->doing,
                   (unsigned)(100.0 * (double)progress->done / (double)total),
                   total / 1000000,
                   rate / 1000,
                   (left_ms + 999) / 1000);
}

static void show_on_terminal(struct cli_progress *progress,
                             uint64_t total,
                             int64_t now)
{
    char line[128];

    if (now - progress->begun_ms < CLI_SHOWN_AFTER_MS ||
        now - progress->shown_ms < CLI_SHOWN_EVERY_MS) {
        return;
    }
    describe(progress, total, now, line, sizeof line);
    (void)fprintf(stderr, "\r%-*s", LINE_WIDTH, line);
    (void)fflush(stderr);
    progress->is_shown = true;
    progress->shown_ms = now;
}

/* Prints a line for each tenth but the last: by then the command is done. */
static void show_tenth(struct cli_progress *progress,
                       uint64_t total,
                       int64_t now)
{
    char line[128];
    unsigned tenths = (unsigned)(10.0 * (double)progress->done / (double)total);

    if (tenths <= progress->tenths || tenths >= 10) {
        return;
    }
    describe(progress, total, now, line, sizeof line);
    (void)fprintf(stderr, "%s\n", line);
    progress->tenths = tenths;
}

void cli_progress_tell(void *context, uint64_t done, uint64_t total)
{
    struct cli_progress *progress = context;
    int64_t now = now_ms();

    if (done < progress->done) {
        progress->begun_ms = now;
        progress->tenths = 0;
    }
    progress->done = done;
    if (progress->is_quiet || done > total || total == 0) {
        return;
    }
    if (progress->is_terminal) {
        show_on_terminal(progress, total, now);
    } else if (progress->tells_tenths) {
        show_tenth(progress, total, now);
    }
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->is_shown) {
        (void)fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
        (void)fflush(stderr);
    }
    progress->is_shown = false;
}
