/* SPDX-License-Identifier: MIT */

/* kvstore get: prints the value of a key; to a pipe or a file its very bytes,
 * to a terminal in a form that cannot control it. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static int print_value(const struct cli_options *options,
                       const void *value,
                       size_t size)
{
    bool visible = !options->raw && isatty(STDOUT_FILENO) == 1;
    bool printed =
        visible ? cli_print_visible(value, size) : cli_print_bytes(value, size);

    if (printed && !options->raw) {
        printed = cli_print_bytes("\n", 1);
    }
    return printed ? CLI_DONE : CLI_FAILED;
}

int cli_command_get(const struct cli_options *options,
                    int count,
                    char **operands)
{
    const char *key = operands[0];
    kvstore *store = NULL;
    void *value = NULL;
    size_t size = 0;

    (void)count;
    int result = cli_store_check_key(key);
    if (result == CLI_DONE) {
        result = cli_store_open(options, CLI_READ, &store);
    }
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status = kvstore_get(store, key, strlen(key), &value, &size);
    if (status == KVSTORE_OK) {
        result = print_value(options, value, size);
    } else if (status == KVSTORE_NOT_FOUND) {
        result = cli_store_missing_key(options, key);
    } else {
        result = cli_store_failed(options, "get", key, status);
    }
    kvstore_free(value);
    cli_store_close(options, store);
    return result;
}
