/* SPDX-License-Identifier: MIT */

/* The commands of one key or several that are named. */

#include "cli/table.h"

#include <limits.h>
#include <stddef.h>

static const struct cli_command commands[] = {
    {
        .name = "set",
        .operands = "KEY VALUE",
        .usage = "usage: kvstore set [OPTIONS] KEY VALUE\n"
                 "       kvstore set [OPTIONS] --stdin|--file FILE KEY\n",
        .operands_min = 1,
        .operands_max = 2,
        .options = CLI_OPT(STDIN) | CLI_OPT(FILE) | CLI_OPT(CHOMP) |
                   CLI_OPT(ALLOW_EMPTY) | CLI_OPT(IF_ABSENT) |
                   CLI_OPT(IF_PRESENT) | CLI_OPT(IF_VALUE) | CLI_OPT(EXPIRES),
        .excluding = {CLI_OPT(STDIN) | CLI_OPT(FILE),
                      CLI_OPT(IF_ABSENT) | CLI_OPT(IF_PRESENT) |
                          CLI_OPT(IF_VALUE)},
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(CONFLICT) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_set,
        .summary = "store VALUE under KEY",
        .help =
            "Stores the value in place of an older one. VALUE is stored as\n"
            "it is, whatever it looks like; '' is an empty value. Makes\n"
            "the store where there is none. Standard input without a byte\n"
            "stores nothing, which is status 3. A condition that is not met\n"
            "is status 4, and silent.\n",
        .trap =
            "A VALUE given here can be seen in the process list: pass a\n"
            "secret by --stdin. Without --chomp the newline at the end of\n"
            "what is read is part of the value. Without --expires an older\n"
            "expiry goes: '--expires keep' keeps it.\n",
        .examples = {"kvstore set user Alice",
                     "kvstore set --if-absent --expires 10m lock:x \"$t\"",
                     "hostname | kvstore set --stdin --chomp host"},
    },
    {
        .name = "get",
        .operands = "KEY...",
        .operands_min = 1,
        .operands_max = INT_MAX,
        .options = CLI_OPT(RAW) | CLI_OPT(WITH_KEYS) | CLI_OPT(NULL) |
                   CLI_OPT(JSON) | CLI_OPT(OUTPUT) | CLI_OPT(DEFAULT),
        .excluding = {CLI_OPT(RAW) | CLI_OPT(NULL) | CLI_OPT(JSON),
                      CLI_OPT(RAW) | CLI_OPT(WITH_KEYS)},
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(NOT_FOUND) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_get,
        .summary = "print the value of each KEY",
        .help =
            "Prints the value of one KEY and a newline. For several KEYs it\n"
            "prints lines of key, tab and value in this order, in which\n"
            "\\\\ \\t \\n \\r \\x00 are a backslash, a tab, a newline, a\n"
            "carriage return and a NUL. What is missing is named, and the\n"
            "others are printed. With --json an object says \"expires\", in\n"
            "milliseconds since 1970, for what does.\n",
        .trap =
            "Without --raw, a value that ends in a newline is printed with\n"
            "two. On a terminal, control characters and bytes that are no\n"
            "UTF-8 appear as \\xNN.\n",
        .examples = {"kvstore get user",
                     "port=$(kvstore get --default 8080 port)",
                     "kvstore get --raw -o photo.jpg photo"},
    },
    {
        .name = "exists",
        .operands = "KEY...",
        .operands_min = 1,
        .operands_max = INT_MAX,
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(NOT_FOUND) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_exists,
        .summary = "tell by the status whether all KEYs are there",
        .help =
            "Prints nothing: status 0 if all of them are there, 1 if not.\n",
        .trap = "What is there now may be gone a moment later: to act on it,\n"
                "use 'set --if-absent', take or once.\n",
        .examples = {"kvstore exists user || kvstore set user Alice",
                     "kvstore exists ready:db ready:cache && run-tests"},
    },
    {
        .name = "rm",
        .operands = "KEY...",
        .usage = "usage: kvstore rm [OPTIONS] KEY...\n"
                 "       kvstore rm [OPTIONS] --if-value OLD KEY\n"
                 "       kvstore rm [OPTIONS] --prefix P|--all\n",
        .operands_min = 0, /* With --force and others; else it needs one. */
        .operands_max = INT_MAX,
        .options =
            CLI_OPT(FORCE) | CLI_OPT(IF_VALUE) | CLI_OPT(PREFIX) | CLI_OPT(ALL),
        .excluding = {CLI_OPT(IF_VALUE) | CLI_OPT(PREFIX) | CLI_OPT(ALL)},
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(NOT_FOUND) |
                    CLI_STATUS(CONFLICT) | CLI_STATUS(BUSY) |
                    CLI_STATUS(DAMAGED),
        .run = cli_command_rm,
        .summary = "remove each KEY",
        .help =
            "Removes the keys, together. A key that is missing is named,\n"
            "and the others are removed. With --force nothing that is\n"
            "missing is an error: no key, no store, no operand. With\n"
            "--if-value a key that is missing, or has another value, is\n"
            "status 4, and silent. No key that begins with P is no error.\n",
        .trap = "KEY is the whole key: no pattern, no prefix. The bytes stay\n"
                "in the log until a compaction.\n",
        .examples = {"kvstore rm user",
                     "kvstore rm --force session token",
                     "kvstore rm --prefix session:"},
    },
    {
        .name = "take",
        .operands = "KEY",
        .usage = "usage: kvstore take [OPTIONS] KEY\n"
                 "       kvstore take [OPTIONS] --prefix P\n",
        .operands_min = 0, /* With --prefix; else it needs one. */
        .operands_max = 1,
        .options = CLI_OPT(PREFIX) | CLI_OPT(RAW) | CLI_OPT(WITH_KEYS) |
                   CLI_OPT(JSON) | CLI_OPT(NULL),
        .excluding = {CLI_OPT(RAW) | CLI_OPT(NULL) | CLI_OPT(JSON),
                      CLI_OPT(RAW) | CLI_OPT(WITH_KEYS)},
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(NOT_FOUND) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_take,
        .summary = "print the value of KEY and remove it",
        .help =
            "Prints the value as get does and removes the key, in one\n"
            "step: of several callers one gets it. With --prefix it is the\n"
            "first key, in key order, that begins with P, and is printed\n"
            "with its key, as a line or with -0 or --json. Nothing there is\n"
            "status 1, and silent.\n",
        .trap = "What was taken is gone, also if whoever reads it dies before\n"
                "it has done anything with it. --prefix reads the whole log.\n",
        .examples = {"token=$(kvstore take token:mail)",
                     "kvstore set \"q:$(date +%s%N)\" job",
                     "kvstore take --prefix q:"},
    },
    {
        .name = "mv",
        .operands = "OLD NEW",
        .operands_min = 2,
        .operands_max = 2,
        .options = CLI_OPT(IF_ABSENT),
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(NOT_FOUND) |
                    CLI_STATUS(CONFLICT) | CLI_STATUS(BUSY) |
                    CLI_STATUS(DAMAGED),
        .run = cli_command_mv,
        .summary = "give the value of OLD the key NEW",
        .help =
            "In one step: nobody sees both keys, or neither. The bytes and\n"
            "the expiry stay as they are. With --if-absent a NEW that is\n"
            "there is status 4, and silent.\n",
        .trap = "Without --if-absent what NEW had is gone.\n",
        .examples = {"kvstore mv draft:7 post:7",
                     "kvstore mv --if-absent q:new q:mine"},
    },
    {
        .name = "expire",
        .operands = "WHEN KEY...",
        .operands_min = 2,
        .operands_max = INT_MAX,
        .options = CLI_OPT(FORCE),
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(NOT_FOUND) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_expire,
        .summary = "give each KEY another expiry",
        .help =
            "WHEN is a time from now such as 30m or 7d, @SECONDS since\n"
            "1970, or never. The values stay. All KEYs change together; one\n"
            "that is missing is named, and the others change.\n",
        .trap = "Writes the values once more. To see when a key expires:\n"
                "'get --json'.\n",
        .examples = {"kvstore expire 30m session:1",
                     "kvstore expire never user"},
    },
    {
        .name = "incr",
        .operands = "KEY [N]",
        .operands_min = 1,
        .operands_max = 2,
        .options = CLI_OPT(EXPIRES),
        .statuses = CLI_STATUSES_COMMON | CLI_STATUS(CONFLICT) |
                    CLI_STATUS(BUSY) | CLI_STATUS(DAMAGED),
        .run = cli_command_incr,
        .summary = "add N, or 1, to a number and print the sum",
        .help =
            "Adds to a whole number of 64 bits, in one step: callers that\n"
            "count together lose no count. N may be negative. An absent key\n"
            "counts as 0. A value that is no whole number, or a sum beyond\n"
            "64 bits, is status 4.\n",
        .trap = "--expires counts only for a key that this makes: one that is\n"
                "there keeps its expiry. That is a rate limiter in a word.\n",
        .examples =
            {"kvstore incr hits",
             "kvstore incr stock -1",
             "[ \"$(kvstore incr --expires 1m \"hits:$ip\")\" -le 100 ]"},
    },
};

const struct cli_command *cli_table_keys(int *count_out)
{
    *count_out = (int)(sizeof(commands) / sizeof(commands[0]));
    return commands;
}
