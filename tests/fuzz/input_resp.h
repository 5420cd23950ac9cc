/* SPDX-License-Identifier: MIT */

/* What the commands of Redis in an input change: a second reader for
 * fuzz_input. */

#ifndef INPUT_RESP_H
#define INPUT_RESP_H

#include "input_oracle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_RESP_WORDS_MAX 1024

/* Begins with the input and line 1. */
struct input_resp {
    char *at;
    char *end;
    uint64_t line;
    uint64_t command_line; /* Where the last command began. */
    struct line_text words[INPUT_RESP_WORDS_MAX]; /* Borrowed from the input. */
    size_t count;
    size_t next;       /* The word of the next change; 0: none. */
    bool is_elsewhere; /* In another database. */
};

/* Says what the next change is, or what the next bad command; its texts are
 * borrowed. False: the input is at its end. */
bool input_resp_next(struct input_resp *resp,
                     struct input_verdict *verdict_out);

#endif
