/* SPDX-License-Identifier: MIT */

/* The command line: from the arguments of the program to its exit status. Knows
 * of each command what the table in commands.c says, and no more. */

#include "cli/cli.h"

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <stddef.h>

static int print_version(void)
{
    cli_print("kvstore %s\n", kvstore_version());
    return CLI_DONE;
}

/* argv[0] is the name of the command. */
static int run_command(const struct cli_command *command,
                       struct cli_options *options,
                       int argc,
                       char **argv)
{
    int first = cli_options_parse(
        options, command->options | CLI_OPTIONS_COMMON, argc, argv);

    if (first == CLI_PARSE_UNKNOWN) {
        return cli_usage_unknown_option_of(command, options);
    }
    if (first < 0) {
        return cli_usage_read_on(command);
    }
    if (cli_has(options, CLI_OPTION_HELP)) {
        return cli_help_print_command(command);
    }
    if (cli_has(options, CLI_OPTION_VERSION)) {
        return print_version();
    }
    int count = argc - first;
    if (count < command->operands_min || count > command->operands_max) {
        return cli_usage_operands(command, options, count, argv + first);
    }
    if (!cli_usage_check_excluding(command, options) ||
        !cli_options_complete(options)) {
        return cli_usage_read_on(command);
    }
    return command->run(options, count, argv + first);
}

static int run(int argc, char **argv)
{
    struct cli_options options = {0};

    if (argc < 2) {
        return cli_usage_no_command();
    }
    int first = cli_options_parse(&options, CLI_OPTIONS_COMMON, argc, argv);
    if (first == CLI_PARSE_UNKNOWN) {
        return cli_usage_unknown_option(&options, argc - 1, argv + 1);
    }
    if (first < 0) {
        return cli_usage_read_on(NULL);
    }
    if (cli_has(&options, CLI_OPTION_HELP)) {
        return cli_help_print();
    }
    if (cli_has(&options, CLI_OPTION_VERSION)) {
        return print_version();
    }
    if (first == argc) {
        return cli_usage_no_command();
    }
    const struct cli_command *command = cli_command_find(argv[first]);
    if (command == NULL) {
        return cli_usage_unknown_command(argv[first]);
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
