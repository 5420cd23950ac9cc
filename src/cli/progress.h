/* SPDX-License-Identifier: MIT */

/* A line on the terminal that says how far a long pass over the log is. Knows
 * no commands and no store. */

#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
    bool is_wanted; /* There is a terminal to show it on. */
    bool is_shown;
    int64_t begun_ms; /* When the pass began; */
    int64_t shown_ms; /* when the line was last written. */
    uint64_t done;    /* What was told last: less is another pass. */
};

/* Nothing is shown where the program is to be quiet, or standard error is no
 * terminal. */
void cli_progress_init(struct cli_progress *progress, bool quiet);

/* A kvstore_progress whose context is a struct cli_progress. Shows a pass that
 * takes longer than a second, some times a second. */
void cli_progress_tell(void *context, uint64_t done, uint64_t total);

/* Takes the line away. */
void cli_progress_clear(struct cli_progress *progress);

#endif
