/* SPDX-License-Identifier: MIT */

/* A line on the terminal that says how far a long pass over the log is, how fast
 * it goes, and how long it will take. */

#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_AFTER_MS 1000
#define SHOWN_EVERY_MS 200

/* Wide enough for the longest line, so that a shorter one covers it. */
#define LINE_WIDTH 72

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cli_progress_init(struct cli_progress *progress, bool quiet)
{
    *progress =
        (struct cli_progress){.is_wanted = !quiet && isatty(STDERR_FILENO) == 1,
                              .begun_ms = now_ms()};
}

static void show(const struct cli_progress *progress,
                 uint64_t total,
                 int64_t elapsed_ms)
{
    char line[128];
    uint64_t rate = progress->done / (uint64_t)elapsed_ms; /* kB a second. */
    uint64_t left_ms = rate == 0 ? 0 : (total - progress->done) / rate;

    (void)snprintf(line,
                   sizeof line,
                   "kvstore: reading store.log: %3u %% of %" PRIu64
                   " MB, %" PRIu64 " MB/s, %" PRIu64 " s left",
                   (unsigned)(100.0 * (double)progress->done / (double)total),
                   total / 1000000,
                   rate / 1000,
                   (left_ms + 999) / 1000);
    (void)fprintf(stderr, "\r%-*s", LINE_WIDTH, line);
    (void)fflush(stderr);
}

void cli_progress_tell(void *context, uint64_t done, uint64_t total)
{
    struct cli_progress *progress = context;
    int64_t now = now_ms();

    if (done < progress->done) {
        progress->begun_ms = now;
    }
    progress->done = done;
    if (!progress->is_wanted || now - progress->begun_ms < SHOWN_AFTER_MS ||
        now - progress->shown_ms < SHOWN_EVERY_MS || done > total) {
        return;
    }
    show(progress, total, now - progress->begun_ms);
    progress->is_shown = true;
    progress->shown_ms = now;
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->is_shown) {
        (void)fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
        (void)fflush(stderr);
    }
    progress->is_shown = false;
}
