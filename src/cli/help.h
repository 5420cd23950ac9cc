/* SPDX-License-Identifier: MIT */

/* The help of the program and of its commands, made of their tables. */

#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/commands.h"

/* Prints the help of the program. Returns the exit status. */
int cli_help_print(void);

/* Prints the help of a command, without the options that all have. Returns the
 * exit status. */
int cli_help_print_command(const struct cli_command *command);

#endif
