/* SPDX-License-Identifier: MIT */

/* What the program says when it was called in a wrong way: what is wrong, and
 * how to say it right. All return CLI_USAGE. */

#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include "cli/commands.h"
#include "cli/options.h"

#include <stdbool.h>

/* There was no command at all. */
int cli_usage_no_command(void);

/* This is not a command. */
int cli_usage_unknown_command(const char *word);

/* options->unknown was in front of the command, which is among the words that
 * follow, or not. */
int cli_usage_unknown_option(const struct cli_options *options,
                             int count,
                             char **words);

/* options->unknown was after this command. */
int cli_usage_unknown_option_of(const struct cli_command *command,
                                const struct cli_options *options);

/* The command got too few or too many of these operands. */
int cli_usage_operands(const struct cli_command *command,
                       const struct cli_options *options,
                       int count,
                       char **operands);

/* True if no two of the options exclude each other. Else reports them. */
bool cli_usage_check_excluding(const struct cli_command *command,
                               const struct cli_options *options);

/* Says where to read on; what was wrong has been reported. NULL: in the help of
 * the program. */
int cli_usage_read_on(const struct cli_command *command);

/* Says so, and returns false, if what follows KEY is meant for an option, and
 * not for CMD or the '--' before it. */
bool cli_usage_check_child(const struct cli_command *command,
                           const char *first);

#endif
