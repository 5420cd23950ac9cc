/* SPDX-License-Identifier: MIT */

/* kvstore compact: compacts the store now, whether that is due or not. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <stddef.h>

int cli_command_compact(const struct cli_options *options,
                        int count,
                        char **operands)
{
    kvstore *store = NULL;

    (void)count;
    (void)operands;
    int result = cli_store_open(options, CLI_CHANGE, &store);
    if (result != CLI_DONE) {
        return result;
    }
    cli_store_begin("compacting");
    kvstore_status status = kvstore_compact(store);
    cli_store_end();
    if (status != KVSTORE_OK) {
        result = cli_store_call_failed(options, "compact", status);
    }
    cli_store_close(store);
    return result;
}
