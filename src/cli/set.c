/* SPDX-License-Identifier: MIT */

/* kvstore set: stores a value, from the command line, or all bytes of standard
 * input or of a file. The value is complete before the store is opened: a pipe
 * that fails or never ends leaves the store alone. */

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* What the options ask of the library. */
static kvstore_set_options wanted_of(const struct cli_options *options)
{
    kvstore_set_options wanted = {.size = sizeof(wanted),
                                  .expires_ms = options->expires_ms};

    if (cli_has(options, CLI_OPTION_IF_ABSENT)) {
        wanted.condition = KVSTORE_IF_ABSENT;
    } else if (cli_has(options, CLI_OPTION_IF_PRESENT)) {
        wanted.condition = KVSTORE_IF_PRESENT;
    } else if (cli_has(options, CLI_OPTION_IF_VALUE)) {
        const char *expected = options->values[CLI_OPTION_IF_VALUE];
        wanted.condition = KVSTORE_IF_VALUE;
        wanted.expected = expected;
        wanted.expected_size = strlen(expected);
    }
    return wanted;
}

static int store_value(const struct cli_options *options,
                       const char *key,
                       const void *value,
                       size_t size)
{
    const kvstore_set_options wanted = wanted_of(options);
    bool needs_key = wanted.condition == KVSTORE_IF_PRESENT ||
                     wanted.condition == KVSTORE_IF_VALUE;
    kvstore *store = NULL;

    int result = needs_key ? cli_store_open_for_present(options, &store)
                           : cli_store_open(options, CLI_CREATE, &store);
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status =
        kvstore_set_with(store, key, strlen(key), value, size, &wanted);
    if (status == KVSTORE_OK) {
        cli_store_compact_if_due(options, store);
    } else if (status == KVSTORE_CONFLICT) {
        result = CLI_CONFLICT;
    } else {
        result = cli_store_failed(options, "set", key, status);
    }
    cli_store_close(store);
    return result;
}

/* An input without a byte is more often a command that failed than a value. */
static bool is_missing(const struct cli_options *options,
                       const struct cli_input *input,
                       const char *file)
{
    return file == NULL && input->size == 0 &&
           !cli_has(options, CLI_OPTION_ALLOW_EMPTY);
}

/* file is NULL for standard input. */
static int store_input(const struct cli_options *options,
                       const char *key,
                       const char *file)
{
    struct cli_input input = {0};
    int result = CLI_FAILED;

    bool is_read = cli_input_read(&input, file);
    if (is_read && is_missing(options, &input, file)) {
        cli_tell("standard input is empty, and nothing was stored: "
                 "--allow-empty stores an empty value");
    } else if (is_read) {
        bool is_line = input.size > 0 && input.bytes[input.size - 1] == '\n';
        if (is_line && cli_has(options, CLI_OPTION_CHOMP)) {
            input.size--;
        }
        result = store_value(options, key, input.bytes, input.size);
    }
    cli_input_release(&input);
    return result;
}

/* Without this, an empty variable in a loop would eat what the loop reads. */
static int tell_no_value(const char *key)
{
    cli_tell(
        "set: no VALUE for '%s': give one ('' is an empty one), or read it "
        "with --stdin or --file FILE in front of KEY",
        key);
    return cli_usage_read_on(cli_command_find("set"));
}

static int tell_two_values(const char *source)
{
    cli_tell("set: --%s takes the place of VALUE", source);
    return cli_usage_read_on(cli_command_find("set"));
}

int cli_command_set(const struct cli_options *options,
                    int count,
                    char **operands)
{
    const char *key = operands[0];
    const char *file = options->values[CLI_OPTION_FILE];
    bool is_of_stdin = cli_has(options, CLI_OPTION_STDIN) ||
                       (file != NULL && strcmp(file, "-") == 0);

    int result = cli_store_check_key(key);
    if (result != CLI_DONE) {
        return result;
    }
    if (count == 2 && (is_of_stdin || file != NULL)) {
        return tell_two_values(file == NULL ? "stdin" : "file");
    }
    if (is_of_stdin || file != NULL) {
        return store_input(options, key, is_of_stdin ? NULL : file);
    }
    if (count == 1) {
        return tell_no_value(key);
    }
    if (cli_has(options, CLI_OPTION_CHOMP) ||
        cli_has(options, CLI_OPTION_ALLOW_EMPTY)) {
        cli_tell("set: --chomp and --allow-empty are for --stdin and --file");
        return cli_usage_read_on(cli_command_find("set"));
    }
    return store_value(options, key, operands[1], strlen(operands[1]));
}
