/* SPDX-License-Identifier: MIT */

/* Reads all of a file, or of standard input, as one value. Knows no options and
 * no commands. */

#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/* What was read. */
struct cli_input {
    char *bytes; /* NULL: nothing. */
    size_t size;
    size_t capacity;
};

/* Reads all of the file with this name, or of standard input if it is NULL, up
 * to the size that a value may have. False: that failed, or there is more; this
 * was reported. Either way cli_input_release() frees what there is. input begins
 * as zero. */
bool cli_input_read(struct cli_input *input, const char *file);

void cli_input_release(struct cli_input *input);

#endif
