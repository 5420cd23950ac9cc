/* SPDX-License-Identifier: MIT */

/* Lines that say how far a long pass over the log is. Knows no commands and no
 * store. */

#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cli_progress {
    const char *doing; /* What the lines call it; borrowed. */
    bool is_quiet;
    bool is_terminal;  /* One line, which changes. */
    bool tells_tenths; /* Elsewhere: a line for each tenth. */
    bool is_shown;
    int64_t begun_ms; /* When the pass began; */
    int64_t shown_ms; /* when the line was last written. */
    uint64_t done;    /* What was told last: less is another pass. */
    unsigned tenths;  /* How many of the pass were told. */
};

/* Before the store is opened: only a terminal is shown that the log is read.
 * Nothing is shown where the program is to be quiet. */
void cli_progress_init(struct cli_progress *progress, bool quiet);

/* From here on a pass is what the user has asked for. */
void cli_progress_begin(struct cli_progress *progress, const char *doing);

/* A kvstore_progress whose context is a struct cli_progress. On a terminal,
 * shows a pass that takes longer than a second, some times a second. */
void cli_progress_tell(void *context, uint64_t done, uint64_t total);

/* Takes the line away. */
void cli_progress_clear(struct cli_progress *progress);

#endif
