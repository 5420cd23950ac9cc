/* SPDX-License-Identifier: MIT */

/* The command line: from the arguments of the program to its exit status. The
 * table below holds all that is known here about each command; a new command is
 * an entry in it, and a file that does the work. */

#include "cli/cli.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include <kvstore.h>

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    const char *operands; /* As help shows them. */
    int operands_min;
    int operands_max;
    unsigned options; /* Its own, in addition to the global ones. */
    cli_command_function *run;
    const char *summary; /* One line. */
    const char *help;    /* What the summary does not say. */
};

static const struct command commands[] = {
    {
        .name = "set",
        .operands = "KEY [VALUE]",
        .operands_min = 1,
        .operands_max = 2,
        .options = 0,
        .run = cli_command_set,
        .summary = "store VALUE under KEY",
        .help = "Without VALUE the value is standard input, every byte of it.\n"
                "A VALUE given here can be seen in the process list.\n"
                "Makes the store where there is none.\n",
    },
    {
        .name = "get",
        .operands = "KEY",
        .operands_min = 1,
        .operands_max = 1,
        .options = CLI_OPTION_RAW,
        .run = cli_command_get,
        .summary = "print the value of KEY",
        .help = "Prints the value and one newline. On a terminal, control\n"
                "characters and bytes that are no UTF-8 appear as \\xNN.\n",
    },
    {
        .name = "rm",
        .operands = "KEY...",
        .operands_min = 1,
        .operands_max = INT_MAX,
        .options = CLI_OPTION_FORCE,
        .run = cli_command_rm,
        .summary = "remove each KEY",
        .help = "A key that is missing is named, and the others are removed.\n",
    },
    {
        .name = "list",
        .operands = "[PREFIX]",
        .operands_min = 0,
        .operands_max = 1,
        .options = CLI_OPTION_JSON | CLI_OPTION_NULL,
        .run = cli_command_list,
        .summary = "print the keys, those that begin with PREFIX",
        .help = "Prints one key a line, in the order of their bytes. On a\n"
                "terminal, control characters and bytes that are no UTF-8\n"
                "appear as \\xNN. With --json each line is a JSON string, or\n"
                "{\"key64\":\"...\"} for a key that is no text.\n",
    },
    {
        .name = "stats",
        .operands = "",
        .operands_min = 0,
        .operands_max = 0,
        .options = CLI_OPTION_JSON,
        .run = cli_command_stats,
        .summary = "print what the store holds, in numbers",
        .help = "Also says whether a compaction is due, and why or why not.\n",
    },
    {
        .name = "compact",
        .operands = "",
        .operands_min = 0,
        .operands_max = 0,
        .options = 0,
        .run = cli_command_compact,
        .summary = "drop what is stale from the log, now",
        .help = "Others read and write meanwhile. It may be interrupted at any "
                "moment.\n",
    },
    {
        .name = "verify",
        .operands = "",
        .operands_min = 0,
        .operands_max = 0,
        .options = 0,
        .run = cli_command_verify,
        .summary = "check every line of the log, and the index",
        .help = "Prints one line for each damaged place, with status 6, and\n"
                "nothing where there is none. Changes nothing.\n",
    },
    {
        .name = "repair",
        .operands = "",
        .operands_min = 0,
        .operands_max = 0,
        .options = 0,
        .run = cli_command_repair,
        .summary = "move damaged lines out of the log",
        .help =
            "Prints which bytes went to which file, store.log.cut-OFFSET.\n"
            "A key whose newest line was damaged then has its older value,\n"
            "or none. Does nothing where nothing is damaged.\n",
    },
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const char exit_statuses[] =
    "Exit status: 0 done, 1 key not found, 2 usage, 3 failed,\n"
    "4 condition not met, 5 busy, 6 damaged, 7 partial import.\n";

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int print_version(void)
{
    cli_print("kvstore %s\n", kvstore_version());
    return CLI_DONE;
}

static int print_help(void)
{
    cli_print("usage: kvstore [OPTIONS] COMMAND [OPTIONS] ...\n"
              "A persistent key-value store; its data is a log of JSON lines."
              "\n\nCommands:\n");
    for (int i = 0; i < COMMAND_COUNT; i++) {
        cli_print("  %-8s%-13s%s\n",
                  commands[i].name,
                  commands[i].operands,
                  commands[i].summary);
    }
    cli_print("\nOptions, before or after the command:\n");
    cli_options_print(CLI_OPTIONS_GLOBAL);
    cli_print("\n'kvstore COMMAND --help' tells more; so does kvstore(1).\n"
              "%s",
              exit_statuses);
    return CLI_DONE;
}

static int print_command_help(const struct command *command)
{
    cli_print("usage: kvstore %s [OPTIONS]%s%s\n%s\nOptions:\n",
              command->name,
              command->operands[0] == '\0' ? "" : " ",
              command->operands,
              command->help);
    cli_options_print(command->options | CLI_OPTIONS_GLOBAL);
    cli_print("\n%s", exit_statuses);
    return CLI_DONE;
}

/* Says how to use the program; it was called without a command. */
static int tell_usage(void)
{
    cli_tell("no command");
    (void)fputs("usage: kvstore [OPTIONS] COMMAND [OPTIONS] ...\n"
                "  kvstore set user Alice\n"
                "  kvstore get user\n"
                "  kvstore rm user\n"
                "See 'kvstore --help'.\n",
                stderr);
    return CLI_USAGE;
}

/* Says where to read on; what was wrong has been reported. */
static int tell_where_help_is(const struct command *command)
{
    if (command == NULL) {
        cli_tell("try 'kvstore --help'");
    } else {
        cli_tell("try 'kvstore %s --help'", command->name);
    }
    return CLI_USAGE;
}

/* argv[0] is the name of the command. */
static int run_command(const struct command *command,
                       struct cli_options *options,
                       int argc,
                       char **argv)
{
    int first = cli_options_parse(
        options, command->options | CLI_OPTIONS_GLOBAL, argc, argv);

    if (first < 0) {
        return tell_where_help_is(command);
    }
    if (options->help) {
        return print_command_help(command);
    }
    if (options->version) {
        return print_version();
    }
    int count = argc - first;
    if (count < command->operands_min || count > command->operands_max) {
        cli_tell("%s: too %s operands",
                 command->name,
                 count < command->operands_min ? "few" : "many");
        return tell_where_help_is(command);
    }
    if (!cli_options_complete(options)) {
        return tell_where_help_is(command);
    }
    return command->run(options, count, argv + first);
}

static int run(int argc, char **argv)
{
    struct cli_options options = {0};

    if (argc < 2) {
        return tell_usage();
    }
    int first = cli_options_parse(&options, CLI_OPTIONS_GLOBAL, argc, argv);
    if (first < 0) {
        return tell_where_help_is(NULL);
    }
    if (options.help) {
        return print_help();
    }
    if (options.version) {
        return print_version();
    }
    if (first == argc) {
        return tell_usage();
    }
    const struct command *command = find_command(argv[first]);
    if (command == NULL) {
        cli_tell("unknown command '%s'", argv[first]);
        return tell_where_help_is(NULL);
    }
    return run_command(command, &options, argc - first, argv + first);
}

int cli_run(int argc, char **argv)
{
    if (!cli_output_init()) {
        return CLI_FAILED;
    }
    return cli_output_finish(run(argc, argv));
}
