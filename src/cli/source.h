/* SPDX-License-Identifier: MIT */

/* Where import and batch read: a file in one of the formats, as one change after
 * the other. Knows no store. */

#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "cli/change.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/read_json.h"
#include "cli/read_resp.h"

#include <stdbool.h>
#include <stdint.h>

struct cli_source {
    struct cli_lines lines;
    enum cli_data data;
    bool is_of_nul;    /* In place of data: key NUL value NUL. */
    const char *place; /* What number counts: "line" or "record". */
    uint64_t number;   /* Where the last change stands. */
    const char *wrong; /* What is wrong with the last one, if it is bad. */
    struct cli_decoded decoded;
    struct cli_resp resp;
};

enum cli_source_result {
    CLI_SOURCE_CHANGE,
    CLI_SOURCE_BAD, /* wrong says why. */
    CLI_SOURCE_END,
    CLI_SOURCE_FAILED /* It cannot be read, which was reported. */
};

/* Opens what the options and the operands of the command name. False: that
 * failed, which was reported. Either way cli_source_close() releases it. */
bool cli_source_open(struct cli_source *source,
                     const struct cli_options *options,
                     int count,
                     char **operands);

void cli_source_close(struct cli_source *source);

/* Reads the next change. A set that has expired is none, or of a journal, a
 * remove. What the change points at is valid until the next call. */
enum cli_source_result cli_source_next(struct cli_source *source,
                                       struct cli_change *change_out);

/* Reports the last one, which is bad. */
void cli_source_tell(const struct cli_source *source, const char *outcome);

#endif
