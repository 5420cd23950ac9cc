/* SPDX-License-Identifier: MIT */

/* Runs a command that reads bytes and prints others. Knows no store and no
 * options. */

#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* What a command has printed, and how it ended. */
struct cli_filtered {
    char *bytes; /* Released with free(). */
    size_t size;
    size_t capacity;
    int status; /* As waitpid() says it. */
};

/* Runs the command with these bytes, and a newline after them if has_newline, as
 * its standard input, and keeps what it prints. It need not read them. False: it
 * could not be run, or printed more than a value may have, which was
 * reported. */
bool cli_filter_run(char **words,
                    const void *bytes,
                    size_t size,
                    bool has_newline,
                    struct cli_filtered *filtered_out);

#endif
