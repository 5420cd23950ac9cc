/* SPDX-License-Identifier: MIT */

/* The table of all options: how each is written, and what help says of it. A
 * command names those that it accepts. Knows no commands and no arguments. */

#ifndef CLI_SPECS_H
#define CLI_SPECS_H

#include <stddef.h>
#include <stdint.h>

/* In the order in which help shows them. */
enum cli_option {
    CLI_OPTION_STDIN,
    CLI_OPTION_FILE,
    CLI_OPTION_CHOMP,
    CLI_OPTION_ALLOW_EMPTY,
    CLI_OPTION_IF_ABSENT,
    CLI_OPTION_IF_PRESENT,
    CLI_OPTION_IF_VALUE,
    CLI_OPTION_EXPIRES,
    CLI_OPTION_RAW,
    CLI_OPTION_WITH_KEYS,
    CLI_OPTION_OUTPUT,
    CLI_OPTION_DEFAULT,
    CLI_OPTION_FORCE,
    CLI_OPTION_PREFIX,
    CLI_OPTION_ALL,
    CLI_OPTION_RELEASE,
    CLI_OPTION_CONFLICT_STATUS,
    CLI_OPTION_VALUES,
    CLI_OPTION_FROM,
    CLI_OPTION_TO,
    CLI_OPTION_REVERSE,
    CLI_OPTION_LIMIT,
    CLI_OPTION_COUNT,
    CLI_OPTION_SINCE,
    CLI_OPTION_FORMAT,
    CLI_OPTION_JSON,
    CLI_OPTION_NULL,
    CLI_OPTION_DATA_DIR,
    CLI_OPTION_SYNC,
    CLI_OPTION_TIMEOUT,
    CLI_OPTION_NO_CREATE,
    CLI_OPTION_QUIET,
    CLI_OPTION_PROGRESS,
    CLI_OPTION_HELP,
    CLI_OPTION_VERSION,
    CLI_OPTIONS_END /* Not an option: how many there are. */
};

/* A set of options is a number; this is the set of one, such as
 * CLI_OPT(RAW). */
#define CLI_OPT(NAME) (UINT64_C(1) << CLI_OPTION_##NAME)

/* Those of every command, which may be in front of it, too. */
#define CLI_OPTIONS_COMMON \
    (CLI_OPT(DATA_DIR) | CLI_OPT(SYNC) | CLI_OPT(TIMEOUT) | \
     CLI_OPT(NO_CREATE) | CLI_OPT(QUIET) | CLI_OPT(PROGRESS) | CLI_OPT(HELP) | \
     CLI_OPT(VERSION))

struct cli_spec {
    char letter; /* NUL: it has only a long name. */
    const char *name;
    const char *value; /* What help calls its value; NULL: it takes none. */
    const char *help;  /* May have several lines. */
};

const struct cli_spec *cli_spec_of(enum cli_option option);

/* Finds the one of these options that is written so: as "-x", "--name" or
 * "--name=value". CLI_OPTIONS_END: none of them. */
enum cli_option cli_spec_find(const char *text, uint64_t among);

/* The long name of that one of these options that such a text was meant to be:
 * the word of another store for it, or a mistyped one. NULL: none. */
const char *cli_spec_suggest(const char *text, uint64_t among);

/* Prints help for each of these options. */
void cli_specs_print(uint64_t shown);

#endif
