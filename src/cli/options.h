/* SPDX-License-Identifier: MIT */

/* The options of the program and of its commands, from the arguments and from
 * the environment. Knows no commands. */

#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/specs.h"

#include <stdbool.h>
#include <stdint.h>

/* What cli_options_parse() returns in place of an index. */
enum {
    CLI_PARSE_FAILED = -1, /* A usage error, which was reported. */
    CLI_PARSE_UNKNOWN = -2 /* An unknown option, which the caller reports. */
};

/* How many records are written one after the other: --format. */
enum cli_data {
    CLI_DATA_JSON, /* An object a line; also lines of the log, where they are
                      read. */
    CLI_DATA_LOG,
    CLI_DATA_TSV,
    CLI_DATA_RESP
};

/* What was given. Zero is the start: nothing. */
struct cli_options {
    uint64_t given;                      /* A set of options. */
    uint64_t accepted;                   /* As the last parse was told. */
    const char *values[CLI_OPTIONS_END]; /* Borrows the arguments. */
    const char *data_dir;                /* Set by cli_options_complete(). */
    int sync;                /* KVSTORE_SYNC_ALWAYS or KVSTORE_SYNC_NONE. */
    int32_t lock_timeout_ms; /* As kvstore_options has it. */
    uint64_t limit;          /* If it was given. */
    int64_t expires_ms;      /* If it was given: as kvstore_set_options has it;
                                else KVSTORE_EXPIRES_NEVER. */
    int conflict_status;     /* If it was given. */
    enum cli_data data;      /* Of --format. */
    bool has_ended;          /* "--" was between options and operands. */
    const char *unknown;     /* "--name", "--name=value" or "-x". */
    char unknown_letter[3];
};

/* True if the option was given. */
bool cli_has(const struct cli_options *options, enum cli_option option);

/* Reads the accepted options that follow argv[0], up to the first operand,
 * "--", --help or --version. Returns the index in argv of what follows them, or
 * CLI_PARSE_FAILED or _UNKNOWN. If an option is given twice, the last one
 * counts. argc is at least 1. */
int cli_options_parse(struct cli_options *options,
                      uint64_t accepted,
                      int argc,
                      char **argv);

/* Fills in what was not given: from the environment, else the defaults. False:
 * a variable has a bad value, which was reported. */
bool cli_options_complete(struct cli_options *options);

/* Reads a WHEN: sets expires_ms_out to what the library takes. False: it is no
 * WHEN, or in the past, or is "keep" and may not be; source, an option or an
 * operand, was named. */
bool cli_options_read_when(const char *source,
                           const char *text,
                           bool may_keep,
                           int64_t *expires_ms_out);

/* True if this operand is spelled like an option of the last parse, and nothing
 * said that it is none. */
bool cli_options_is_like_one(const struct cli_options *options,
                             const char *operand);

#endif
