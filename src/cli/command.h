/* SPDX-License-Identifier: MIT */

/* What the program, its help and its messages know of a command, and the
 * functions that do the work, each in a file of its name. */

#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/options.h"

#include <stdint.h>

/* What a command does: operands has count items and a NULL after them. The table
 * has checked how many they are and which options were given, and the options
 * are complete. Returns the exit status, and has reported all that there is to
 * report. */
typedef int cli_command_function(const struct cli_options *options,
                                 int count,
                                 char **operands);

enum { CLI_EXCLUDING_MAX = 3, CLI_EXAMPLE_MAX = 3, CLI_OPERAND_SIZE = 16 };

struct cli_command {
    const char *name;
    const char *operands; /* As help shows them. */
    const char *usage;    /* All of it, where it is not that; else NULL. */
    int operands_min;
    int operands_max;
    uint64_t options; /* Its own, in addition to the common ones. */
    /* Sets of options of which one at most may be given. */
    uint64_t excluding[CLI_EXCLUDING_MAX];
    unsigned statuses; /* The bit 1 << N for each status N it can return. */
    cli_command_function *run;
    const char *summary;                   /* One line. */
    const char *help;                      /* A paragraph. */
    const char *trap;                      /* What it does that surprises. */
    const char *examples[CLI_EXAMPLE_MAX]; /* NULL: fewer. */
};

/* set KEY VALUE: stores. */
cli_command_function cli_command_set;

/* get KEY: prints the value. */
cli_command_function cli_command_get;

/* exists KEY...: tells by the status whether all are there. */
cli_command_function cli_command_exists;

/* rm KEY...: removes the keys that are there. */
cli_command_function cli_command_rm;

/* take KEY: prints the value and removes it. */
cli_command_function cli_command_take;

/* mv OLD NEW: gives a value another key. */
cli_command_function cli_command_mv;

/* expire WHEN KEY...: gives keys another expiry. */
cli_command_function cli_command_expire;

/* incr KEY [N]: adds to a number. */
cli_command_function cli_command_incr;

/* update KEY CMD...: changes a value by a command. */
cli_command_function cli_command_update;

/* once KEY CMD...: runs a command unless the key is there. */
cli_command_function cli_command_once;

/* batch [FILE]: makes changes together or not at all. */
cli_command_function cli_command_batch;

/* list [PREFIX]: prints the keys, in order. */
cli_command_function cli_command_list;

/* export [PREFIX]: prints keys and values. */
cli_command_function cli_command_export;

/* import [FILE]: stores what export prints. */
cli_command_function cli_command_import;

/* watch [PREFIX]: prints changes as they come. */
cli_command_function cli_command_watch;

/* stats: prints the counters of the store. */
cli_command_function cli_command_stats;

/* compact: rewrites the log without what is stale. */
cli_command_function cli_command_compact;

/* verify: checks the whole log and the index. */
cli_command_function cli_command_verify;

/* repair: moves what is damaged out of the log. */
cli_command_function cli_command_repair;

/* backup DIR: copies the store to a new directory. */
cli_command_function cli_command_backup;

/* help [COMMAND]: prints help. */
cli_command_function cli_command_help;

#endif
