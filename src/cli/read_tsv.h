/* SPDX-License-Identifier: MIT */

/* Reads a record from a line of key, tab and value, as list and get print
 * it. */

#ifndef CLI_READ_TSV_H
#define CLI_READ_TSV_H

#include "cli/change.h"

#include <stddef.h>

/* Reads the line, without its newline, and decodes its escapes in place. Returns
 * NULL, or what is wrong with it. */
const char *cli_read_tsv(char *line,
                         size_t size,
                         struct cli_change *change_out);

#endif
