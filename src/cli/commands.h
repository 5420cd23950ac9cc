/* SPDX-License-Identifier: MIT */

/* Finds commands in their tables, and what was meant by a word that is in
 * none. */

#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

/* The command at this place, from 0 on; NULL after the last one. */
const struct cli_command *cli_command_at(int place);

/* What help calls the first operand of a command, without brackets; empty if it
 * takes none. */
void cli_command_first_operand(const struct cli_command *command,
                               char name_out[CLI_OPERAND_SIZE]);

/* NULL: there is no such command. */
const struct cli_command *cli_command_find(const char *name);

/* What somebody who typed this may have meant: a command that does what another
 * program calls so, or one that is spelled nearly so. NULL: nothing. */
const char *cli_command_suggest(const char *word);

#endif
