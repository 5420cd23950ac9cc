/* SPDX-License-Identifier: MIT */

/* kvstore help, and --help: the help of the program and of its commands, made of
 * their tables. */

#include "cli/help.h"

#include "cli/output.h"
#include "cli/usage.h"

#include <stddef.h>

static const char *const statuses[] = {
    [CLI_DONE] = "done",
    [CLI_NOT_FOUND] = "key not found",
    [CLI_USAGE] = "wrong usage",
    [CLI_FAILED] = "failed: input or output, permission, space, no store",
    [CLI_CONFLICT] = "condition not met",
    [CLI_BUSY] = "busy: another writer kept the store for too long",
    [CLI_DAMAGED] = "damaged",
    [CLI_PARTIAL] = "an import left something out",
};

enum { STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

static void print_statuses(unsigned shown)
{
    cli_print("\nExit status:\n");
    for (int i = 0; i < STATUS_COUNT; i++) {
        if ((shown & 1u << i) != 0) {
            cli_print("  %d  %s\n", i, statuses[i]);
        }
    }
}

int cli_help_print(void)
{
    unsigned shown = 0;

    cli_print("usage: kvstore [OPTIONS] COMMAND [OPTIONS] ...\n"
              "A persistent key-value store; its data is a log of JSON lines."
              "\n\nCommands:\n");
    for (int i = 0; cli_command_at(i) != NULL; i++) {
        const struct cli_command *command = cli_command_at(i);
        cli_print("  %-8s%-13s%s\n",
                  command->name,
                  command->operands,
                  command->summary);
        shown |= command->statuses;
    }
    cli_print(
        "\nOptions of every command, in front of the command, or between\n"
        "it and its first operand; all that follows that is data:\n");
    cli_specs_print(CLI_OPTIONS_COMMON);
    print_statuses(shown);
    cli_print("\n'kvstore help COMMAND' tells more; so does kvstore(1).\n");
    return CLI_DONE;
}

int cli_help_print_command(const struct cli_command *command)
{
    if (command->usage != NULL) {
        cli_print("%s", command->usage);
    } else {
        cli_print("usage: kvstore %s [OPTIONS]%s%s\n",
                  command->name,
                  command->operands[0] == '\0' ? "" : " ",
                  command->operands);
    }
    cli_print("\n%s", command->help);
    if (command->options != 0) {
        cli_print("\nOptions, in addition to those of every command:\n");
        cli_specs_print(command->options);
    }
    cli_print("\nMind:\n%s\nExamples:\n", command->trap);
    for (int i = 0; i < CLI_EXAMPLE_MAX && command->examples[i] != NULL; i++) {
        cli_print("  %s\n", command->examples[i]);
    }
    print_statuses(command->statuses);
    return CLI_DONE;
}

int cli_command_help(const struct cli_options *options,
                     int count,
                     char **operands)
{
    (void)options;
    if (count == 0) {
        return cli_help_print();
    }
    const struct cli_command *command = cli_command_find(operands[0]);
    return command == NULL ? cli_usage_unknown_command(operands[0])
                           : cli_help_print_command(command);
}
