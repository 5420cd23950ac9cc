/* SPDX-License-Identifier: MIT */

/* What a line of JSON, or of key, tab and value, sets, by the manual alone: a
 * second reader for fuzz_input. */

#ifndef INPUT_ORACLE_H
#define INPUT_ORACLE_H

#include "cli/options.h"
#include "line_oracle.h"

#include <stddef.h>
#include <stdint.h>

enum input_kind {
    INPUT_NOTHING, /* A blank line. */
    INPUT_SET,
    INPUT_REMOVE,
    INPUT_EXPIRE, /* Another expiry for what is there. */
    INPUT_BAD,
    INPUT_UNSAID /* The manual does not say: a name that is there twice, a
                    condition, a line of a log that is unusual. */
};

struct input_verdict {
    enum input_kind kind;
    bool is_of_log;       /* Of a journal: what has expired is a remove. */
    struct line_text key; /* Owned. */
    struct line_text value;
    int64_t expires_ms; /* As a change has it, but it may have passed. */
};

/* Reads a line without its LF. The caller releases the verdict. */
void input_oracle_read(enum cli_data data,
                       const char *line,
                       size_t size,
                       struct input_verdict *verdict_out);
void input_oracle_release(struct input_verdict *verdict);

#endif
