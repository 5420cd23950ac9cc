/* SPDX-License-Identifier: MIT */

/* The commands of the store as a whole. */

#include "cli/table.h"

#include <limits.h>
#include <stddef.h>

static const struct cli_command commands[] = {
    {
        .name = "stats",
        .operands = "",
        .options = CLI_OPT(JSON),
        .statuses =
            CLI_STATUSES_COMMON | CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_stats,
        .summary = "print what the store holds, in numbers",
        .help =
            "Prints a name and a number in each line, at the end whether a\n"
            "compaction is due, and why or why not. The four kinds of\n"
            "bytes, live, stale, blank and damaged, add up to log_bytes.\n",
        .trap =
            "Damage is counted as far as it was met; verify looks for it.\n",
        .examples = {"kvstore stats", "kvstore stats --json | jq .log_bytes"},
    },
    {
        .name = "compact",
        .operands = "",
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(BUSY),
        .run = cli_command_compact,
        .summary = "drop what is stale from the log, now",
        .help = "Writes the log anew. Others read and write meanwhile. It may\n"
                "be interrupted at any moment.\n",
        .trap = "Needs room for the live bytes once more. Seldom needed: a\n"
                "compaction that is due runs by itself.\n",
        .examples = {"kvstore compact", "kvstore --progress compact"},
    },
    {
        .name = "verify",
        .operands = "",
        .statuses =
            CLI_STATUSES_COMMON | CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_verify,
        .summary = "check every line of the log, and the index",
        .help =
            "Prints one line for each damaged place, and nothing where\n"
            "there is none. Changes no data: an index that is not there is\n"
            "built.\n",
        .trap = "Reads the whole log, and more for lines that are stale.\n",
        .examples = {"kvstore verify",
                     "kvstore verify || { [ $? -eq 6 ] && kvstore repair; }"},
    },
    {
        .name = "repair",
        .operands = "",
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(BUSY),
        .run = cli_command_repair,
        .summary = "move damaged lines out of the log",
        .help = "Moves them to files beside the log, and prints which bytes\n"
                "went to which file, store.log.cut-OFFSET. Does nothing where\n"
                "nothing is damaged.\n",
        .trap =
            "A key whose newest line was damaged then has its older value,\n"
            "or none.\n",
        .examples = {"kvstore repair",
                     "kvstore verify || { [ $? -eq 6 ] && kvstore repair; }"},
    },
    {
        .name = "backup",
        .operands = "DIR",
        .operands_min = 1,
        .operands_max = 1,
        .statuses =
            CLI_STATUSES_COMMON | CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_backup,
        .summary = "copy the store to the new directory DIR",
        .help =
            "Writes the store as it is at one moment, compact, while others\n"
            "write. DIR is a store then, and on the disk.\n",
        .trap =
            "A DIR that holds a store already is refused: give each backup\n"
            "a name of its own.\n",
        .examples = {"kvstore backup \"/backup/kv-$(date +%F)\"",
                     "kvstore -d /backup/kv-2026-01-31 verify"},
    },
    {
        .name = "help",
        .operands = "[COMMAND]",
        .operands_max = 1,
        .statuses = CLI_STATUSES_COMMON,
        .run = cli_command_help,
        .summary = "print help, of COMMAND where one is given",
        .help = "Prints what --help prints.\n",
        .trap = "kvstore(1), the manual page, says more.\n",
        .examples = {"kvstore help", "kvstore help get"},
    },
};

const struct cli_command *cli_table_store(int *count_out)
{
    *count_out = (int)(sizeof(commands) / sizeof(commands[0]));
    return commands;
}
