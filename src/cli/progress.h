/* SPDX-License-Identifier: MIT */

/* Lines that say how far a long pass over the log has got. Knows no commands
 * and no store. */

#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define CLI_PROGRESS_ENDLESS UINT64_MAX

struct cli_progress {
    const char *doing; /* What the lines call it; borrowed. */
    bool is_quiet;
    bool is_terminal;  /* One line, which changes. */
    bool tells_tenths; /* Elsewhere, if that was asked for: one for each. */
    bool is_shown;
    int64_t begun_ms; /* When the pass began; */
    int64_t shown_ms; /* when the line was last written. */
    uint64_t done;    /* As last reported; if less, a new pass has begun. */
    unsigned tenths;  /* How many of the pass have been printed. */
};

/* Called before the store is opened. Progress is shown on a terminal, and if it
 * is wanted, elsewhere, too: a job of cron is mailed whatever it says. If quiet,
 * nothing is shown. */
void cli_progress_init(struct cli_progress *progress, bool quiet, bool wanted);

/* Called before the passes that the user has asked for. */
void cli_progress_begin(struct cli_progress *progress, const char *doing);

/* A kvstore_progress whose context is a struct cli_progress. On a terminal,
 * shows a pass that takes longer than a second, several times a second. The total
 * may be CLI_PROGRESS_ENDLESS: it is not known. */
void cli_progress_tell(void *context, uint64_t done, uint64_t total);

/* Removes the line. */
void cli_progress_clear(struct cli_progress *progress);

#endif
