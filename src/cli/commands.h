/* SPDX-License-Identifier: MIT */

/* What the commands do, each in a file of its name. They get their operands
 * in a number that the table of cli.c has checked, options that are complete,
 * and return the exit status; what there is to say, they have said. */

#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

/* A command: operands has count items and a NULL behind them. */
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

/* compact: writes the log anew without what is stale. */
cli_command_function cli_command_compact;

/* verify: checks the whole log and the index. */
cli_command_function cli_command_verify;

/* repair: moves what is damaged out of the log. */
cli_command_function cli_command_repair;

#endif
