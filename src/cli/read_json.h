/* SPDX-License-Identifier: MIT */

/* Reads a record from a JSON line: an object with key and value, a line of a
 * log, or a condition. */

#ifndef CLI_READ_JSON_H
#define CLI_READ_JSON_H

#include "cli/change.h"

#include <stddef.h>

/* Memory for what is not in the line as it is. Begins as zero; bytes is released
 * with free(). */
struct cli_decoded {
    char *bytes;
    size_t size;
    size_t capacity;
};

/* Reads the line, without its newline. Returns NULL, or what is wrong with it.
 * What change_out points at is in the line or in decoded. */
const char *cli_read_json(const char *line,
                          size_t size,
                          struct cli_decoded *decoded,
                          struct cli_change *change_out);

#endif
