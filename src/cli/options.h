/* SPDX-License-Identifier: MIT */

/* The options of the program and of its commands, from the arguments and from
 * the environment. One table holds all of them; a command names those that it
 * accepts. Knows no commands. */

#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* One bit each, so that a set of options is a number. */
enum {
    CLI_OPTION_DATA_DIR = 1 << 0,
    CLI_OPTION_SYNC = 1 << 1,
    CLI_OPTION_TIMEOUT = 1 << 2,
    CLI_OPTION_QUIET = 1 << 3,
    CLI_OPTION_HELP = 1 << 4,
    CLI_OPTION_VERSION = 1 << 5,
    CLI_OPTION_RAW = 1 << 6,
    CLI_OPTION_FORCE = 1 << 7,
    CLI_OPTION_JSON = 1 << 8,
    CLI_OPTION_NULL = 1 << 9
};

/* Those that may come before the command or after it. */
#define CLI_OPTIONS_GLOBAL \
    ((unsigned)CLI_OPTION_DATA_DIR | CLI_OPTION_SYNC | CLI_OPTION_TIMEOUT | \
     CLI_OPTION_QUIET | CLI_OPTION_HELP | CLI_OPTION_VERSION)

/* What was given. Zero is the start: nothing. */
struct cli_options {
    const char *data_dir;    /* NULL: not given. Borrows its argument. */
    int sync;                /* KVSTORE_SYNC_ALWAYS or KVSTORE_SYNC_NONE. */
    int32_t lock_timeout_ms; /* As kvstore_options has it. */
    bool has_sync;
    bool has_timeout;
    bool quiet;
    bool help;
    bool version;
    bool raw;
    bool force;
    bool json;
    bool null;
};

/* Reads the accepted options that follow argv[0], up to the first operand,
 * "--", --help or --version. Returns the index in argv of what follows them, or
 * -1 for a usage error, which was reported. If an option is given twice, the
 * last one counts. argc is at least 1. */
int cli_options_parse(struct cli_options *options,
                      unsigned accepted,
                      int argc,
                      char **argv);

/* Fills in what was not given: from the environment, else the defaults. False:
 * a variable has a bad value, which was reported. */
bool cli_options_complete(struct cli_options *options);

/* Prints one line of help for each of these options. */
void cli_options_print(unsigned shown);

#endif
