/* SPDX-License-Identifier: MIT */

/* kvstore exists: says by its status whether all keys are there. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"
#include <kvstore.h>

#include <stddef.h>
#include <string.h>

static int find_key(const struct cli_options *options,
                    const kvstore *store,
                    const char *key)
{
    kvstore_status status = kvstore_exists(store, key, strlen(key));

    if (status == KVSTORE_OK || status == KVSTORE_NOT_FOUND) {
        return cli_exit_status(status);
    }
    return cli_store_failed(options, "look for", key, status);
}

int cli_command_exists(const struct cli_options *options,
                       int count,
                       char **operands)
{
    kvstore *store = NULL;
    int result = cli_store_check_keys(count, operands);

    if (result == CLI_DONE) {
        result = cli_store_open(options, CLI_READ, &store);
    }
    if (result != CLI_DONE) {
        return result;
    }
    for (int i = 0; i < count; i++) {
        result = cli_worse(result, find_key(options, store, operands[i]));
    }
    cli_store_close(store);
    return result;
}
