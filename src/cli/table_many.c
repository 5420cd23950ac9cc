/* SPDX-License-Identifier: MIT */

/* The commands of many records, and those that run another command. */

#include "cli/table.h"

#include <limits.h>
#include <stddef.h>

static const struct cli_command commands[] = {
    {
        .name = "update",
        .operands = "KEY CMD...",
        .usage = "usage: kvstore update [OPTIONS] KEY [--] CMD [ARGUMENT]...\n",
        .operands_min = 2,
        .operands_max = INT_MAX,
        .options = CLI_OPT(RAW) | CLI_OPT(IF_PRESENT) | CLI_OPT(EXPIRES),
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(CONFLICT) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_update,
        .summary = "change a value by a command",
        .help =
            "CMD reads what 'get KEY' prints, nothing if the key is absent;\n"
            "what it prints becomes the value, without one newline at its\n"
            "end. With --raw the bytes are exact both ways. If CMD fails\n"
            "nothing is changed, which is status 4; if it cannot be run, or\n"
            "a signal ends it, 3. The expiry stays unless --expires is\n"
            "given.\n",
        .trap =
            "No lock is held while CMD runs: if somebody else was faster it\n"
            "is run again, until the timeout, so it should do nothing but\n"
            "print. To append rewrites the whole value.\n",
        .examples = {"kvstore update cfg jq -c '.retries += 1'",
                     "kvstore update log sh -c 'cat; date'"},
    },
    {
        .name = "once",
        .operands = "KEY CMD...",
        .usage = "usage: kvstore once [OPTIONS] KEY [--] CMD [ARGUMENT]...\n",
        .operands_min = 2,
        .operands_max = INT_MAX,
        .options =
            CLI_OPT(EXPIRES) | CLI_OPT(RELEASE) | CLI_OPT(CONFLICT_STATUS),
        .excluding = {CLI_OPT(EXPIRES) | CLI_OPT(RELEASE)},
        .statuses = CLI_STATUS(DONE) | CLI_STATUS(USAGE) | CLI_STATUS(CONFLICT),
        .run = cli_command_once,
        .summary = "run a command unless KEY is there",
        .help =
            "While CMD runs it holds the key by a lease of a minute, which\n"
            "is renewed. If CMD succeeds the key stays, until WHEN after\n"
            "its start, by default for ever; if it fails, or with\n"
            "--release, the key is removed. If the key is there CMD is not\n"
            "run: status 4, silent. Else the status is that of CMD; 128 + N\n"
            "if signal N ended it, 126 if it cannot be run, 127 if there is\n"
            "no such command, 125 if kvstore failed. Signals are passed\n"
            "on.\n",
        .trap =
            "If kvstore itself is killed, CMD runs on, and the key is free\n"
            "a minute later. A clock that jumps, or a machine that sleeps\n"
            "for a minute, may let two run.\n",
        .examples = {"kvstore once --expires 20h backup:nightly backup /srv",
                     "kvstore once --release lock:sync rsync -a /srv host:",
                     "kvstore once -E 0 setup:done ./setup"},
    },
    {
        .name = "batch",
        .operands = "[FILE]",
        .operands_max = 1,
        .options = CLI_OPT(IF_ABSENT) | CLI_OPT(FORMAT) | CLI_OPT(NULL),
        .excluding = {CLI_OPT(FORMAT) | CLI_OPT(NULL)},
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(CONFLICT) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_batch,
        .summary = "make several changes, all or none",
        .help =
            "Reads what import reads, in JSON also {\"Remove\":{\"key\":..}}\n"
            "and {\"Require\":{\"key\":..,\"absent\":true}}, or "
            "\"present\":true,\n"
            "or \"value\":.., and makes the changes together: one append,\n"
            "one sync. Conditions are judged first; one that is not met is\n"
            "status 4, and silent. A record that cannot be read is named by\n"
            "its line, nothing is changed, and the status is 2.\n",
        .trap =
            "All of it is held in memory. Of several changes of one key the\n"
            "last counts. Of resp, it takes no PERSIST and PEXPIREAT.\n",
        .examples = {"printf '%s\\0' a \"$x\" b \"$y\" | kvstore batch -0",
                     "kvstore batch changes.ndjson"},
    },
    {
        .name = "list",
        .operands = "[PREFIX]",
        .operands_min = 0,
        .operands_max = 1,
        .options = CLI_OPT(VALUES) | CLI_OPT(JSON) | CLI_OPT(NULL) |
                   CLI_OPT(FROM) | CLI_OPT(TO) | CLI_OPT(REVERSE) |
                   CLI_OPT(LIMIT) | CLI_OPT(COUNT),
        .excluding = {CLI_OPT(COUNT) | CLI_OPT(JSON) | CLI_OPT(NULL),
                      CLI_OPT(COUNT) | CLI_OPT(VALUES)},
        .statuses =
            CLI_STATUSES_COMMON | CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_list,
        .summary = "print the keys, those that begin with PREFIX",
        .help =
            "Prints one key a line, in the order of their bytes. --from is\n"
            "in the range, --to is not. No key that matches is no error.\n"
            "With --json each line is an object, in which \"key64\" and\n"
            "\"value64\" are base64 of what is no text.\n",
        .trap =
            "Reads the whole log, whatever the range. On a terminal, control\n"
            "characters and bytes that are no UTF-8 appear as \\xNN.\n",
        .examples = {"kvstore list user:",
                     "kvstore list --values --from 2026-01 --to 2026-02",
                     "kvstore list --reverse --limit 1 log:"},
    },
    {
        .name = "export",
        .operands = "[PREFIX]",
        .operands_max = 1,
        .options = CLI_OPT(OUTPUT) | CLI_OPT(FORMAT) | CLI_OPT(NULL),
        .excluding = {CLI_OPT(FORMAT) | CLI_OPT(NULL)},
        .statuses =
            CLI_STATUSES_COMMON | CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_export,
        .summary = "print keys and values for import",
        .help =
            "Prints an object a line, in key order: \"key\", \"value\", and\n"
            "\"expires\" where there is one; \"key64\" and \"value64\" are "
            "base64\n"
            "of what is no text. --format log prints lines of a log, tsv\n"
            "lines of key, tab and value, resp what 'redis-cli --pipe'\n"
            "reads.\n",
        .trap = "Of these only ndjson, log and resp have the expiry.\n",
        .examples =
            {"kvstore export | jq -s from_entries",
             "kvstore export --format log | ssh host kvstore -d D import",
             "kvstore export --format resp | redis-cli --pipe"},
    },
    {
        .name = "import",
        .operands = "[FILE]",
        .operands_max = 1,
        .options = CLI_OPT(IF_ABSENT) | CLI_OPT(FORMAT) | CLI_OPT(NULL),
        .excluding = {CLI_OPT(FORMAT) | CLI_OPT(NULL)},
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(BUSY) |
                    CLI_STATUS(DAMAGED) | CLI_STATUS(PARTIAL),
        .run = cli_command_import,
        .summary = "store what export prints",
        .help =
            "Reads an object a line from FILE or standard input: \"key\" or\n"
            "\"key64\", \"value\", \"value64\", \"val\" or \"val64\", "
            "\"expires\";\n"
            "other members are ignored. A value that is no string is stored\n"
            "as its JSON text. Lines of a log are read, too, and its\n"
            "removes apply. What cannot be read is named by its line and\n"
            "left out, the first ten of them, and the rest counted: status\n"
            "7.\n",
        .trap =
            "It is written bit by bit: for all or nothing, use batch. With\n"
            "--if-absent the first record of a key counts, else the last,\n"
            "and a log's removes do not apply. What has expired is left out;\n"
            "of a log or of resp, it removes its key.\n",
        .examples = {"jq -c 'to_entries[]' object.json | kvstore import",
                     "kvstore import --format tsv cities.tsv",
                     "kvstore import --format resp appendonly.aof"},
    },
    {
        .name = "watch",
        .operands = "[PREFIX]",
        .operands_max = 1,
        .options =
            CLI_OPT(SINCE) | CLI_OPT(LIMIT) | CLI_OPT(JSON) | CLI_OPT(FORMAT),
        .excluding = {CLI_OPT(JSON) | CLI_OPT(FORMAT)},
        .statuses =
            CLI_STATUSES_COMMON | CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_watch,
        .summary = "print changes as they come",
        .help =
            "Prints 'set', key and value, or 'rm' and key, with tabs between\n"
            "them, for each change by any process. With --since start,\n"
            "'reset', all keys and 'current' come first. If changes were\n"
            "missed the same says so and makes it good. --limit counts sets\n"
            "and removes. --format resp is for 'redis-cli --pipe', and ends\n"
            "with status 3 where it would have to say 'reset'.\n",
        .trap = "An expiry is no change. Needs a store: it waits for none.\n",
        .examples =
            {"kvstore watch --json cfg: | while IFS= read -r c; do ...",
             "timeout 30 kvstore watch --since start --limit 1 ready:db"},
    },
};

const struct cli_command *cli_table_many(int *count_out)
{
    *count_out = (int)(sizeof(commands) / sizeof(commands[0]));
    return commands;
}
