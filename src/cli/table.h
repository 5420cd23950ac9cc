/* SPDX-License-Identifier: MIT */

/* The tables of commands.c, and what their entries have in common. */

#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/command.h"
#include "cli/output.h"

#define CLI_STATUS(NAME) (1u << CLI_##NAME)

/* Every command can return these. */
#define CLI_STATUSES_COMMON \
    (CLI_STATUS(DONE) | CLI_STATUS(USAGE) | CLI_STATUS(FAILED))

/* Commands of one key or several that are named. */
const struct cli_command *cli_table_keys(int *count_out);

/* Commands of many records, and those that run another command. */
const struct cli_command *cli_table_many(int *count_out);

/* Commands of the store as a whole. */
const struct cli_command *cli_table_store(int *count_out);

#endif
