/* SPDX-License-Identifier: MIT */

/* Reads the commands of Redis, as its append-only file holds them. */

#ifndef CLI_READ_RESP_H
#define CLI_READ_RESP_H

#include "cli/change.h"
#include "cli/lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A word of a command, in its bytes. */
struct cli_word {
    size_t offset;
    size_t size;
};

/* A command that is being read. Begins as zero. */
struct cli_resp {
    struct cli_word *words;
    size_t count;
    size_t word_capacity;
    size_t next; /* The word that the next change begins with; 0: none. */
    char *bytes;
    size_t size;
    size_t capacity;
    uint64_t line;      /* Where the command begins. */
    bool is_elsewhere;  /* SELECT of another database than 0. */
    const char *broken; /* From here on nothing can be read. */
};

enum cli_resp_result {
    CLI_RESP_CHANGE,
    CLI_RESP_BAD,    /* A command that has no meaning here; wrong_out says
                        why. */
    CLI_RESP_BROKEN, /* The same, and nothing after it can be read. */
    CLI_RESP_END,
    CLI_RESP_FAILED /* Was reported. */
};

/* Reads the next change. What it points at is valid until the next call. */
enum cli_resp_result cli_resp_next(struct cli_resp *resp,
                                   struct cli_lines *lines,
                                   struct cli_change *change_out,
                                   const char **wrong_out);

void cli_resp_release(struct cli_resp *resp);

#endif
