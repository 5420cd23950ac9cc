/* SPDX-License-Identifier: MIT */

/* What the commands do, each in a file of its name. The table of cli.c has
 * checked how many operands they get, and their options are complete. They
 * return the exit status, and have reported all that there is to report. */

#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

/* A command: operands has count items and a NULL after them. */
typedef int cli_command_function(const struct cli_options *options,
                                 int count,
                                 char **operands);

/* set KEY [VALUE]: stores; without VALUE the value is standard input. */
cli_command_function cli_command_set;

/* get KEY: prints the value. */
cli_command_function cli_command_get;

/* rm KEY...: removes the keys that are there. */
cli_command_function cli_command_rm;

/* list [PREFIX]: prints the keys, in order. */
cli_command_function cli_command_list;

/* stats: prints the counters of the store. */
cli_command_function cli_command_stats;

/* compact: rewrites the log without what is stale. */
cli_command_function cli_command_compact;

/* verify: checks the whole log and the index. */
cli_command_function cli_command_verify;

/* repair: moves what is damaged out of the log. */
cli_command_function cli_command_repair;

#endif
