/* SPDX-License-Identifier: MIT */

/* kvstore rm: removes keys. A missing key is named, and the others are still
 * removed; any other failure ends the command. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <stddef.h>
#include <string.h>

static int remove_key(const struct cli_options *options,
                      kvstore *store,
                      const char *key)
{
    kvstore_status status = kvstore_remove(store, key, strlen(key));

    if (status == KVSTORE_OK) {
        return CLI_DONE;
    }
    if (status != KVSTORE_NOT_FOUND) {
        return cli_store_failed(options, "remove", key, status);
    }
    return options->force ? CLI_DONE : cli_store_missing_key(options, key);
}

int cli_command_rm(const struct cli_options *options,
                   int count,
                   char **operands)
{
    kvstore *store = NULL;
    int result = CLI_DONE;

    for (int i = 0; i < count && result == CLI_DONE; i++) {
        result = cli_store_check_key(operands[i]);
    }
    if (result == CLI_DONE) {
        result = cli_store_open(options, CLI_CHANGE, &store);
    }
    if (result != CLI_DONE) {
        return result;
    }
    for (int i = 0; i < count; i++) {
        int removed = remove_key(options, store, operands[i]);
        if (removed != CLI_DONE) {
            result = removed;
        }
        if (removed != CLI_DONE && removed != CLI_NOT_FOUND) {
            break;
        }
    }
    if (result == CLI_DONE || result == CLI_NOT_FOUND) {
        cli_store_compact_if_due(options, store);
    }
    cli_store_close(options, store);
    return result;
}
