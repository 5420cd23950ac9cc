/* SPDX-License-Identifier: MIT */

/* Goes through a range of a store, and prints it. */

#include "cli/walk.h"

#include "cli/output.h"
#include "cli/store.h"

#include <stddef.h>

/* A key can be printed even if its value is damaged; a value cannot. */
static int print_entry(const struct cli_options *options,
                       const kvstore_range *range,
                       struct cli_format *format,
                       const kvstore_entry *found)
{
    if (found->status != KVSTORE_OK && !range->keys_only) {
        cli_flush();
        return cli_store_key_failed(
            options, "get", found->key, found->key_size, found->status);
    }
    const struct cli_entry entry = {.key = found->key,
                                    .key_size = found->key_size,
                                    .value =
                                        range->keys_only ? NULL : found->value,
                                    .value_size = found->value_size,
                                    .expires_ms = found->expires_ms};
    return cli_format_print(format, &entry);
}

int cli_walk(const struct cli_options *options,
             const kvstore *store,
             const kvstore_range *range,
             struct cli_format *format,
             uint64_t *count_out)
{
    kvstore_iterator *iterator = NULL;
    const kvstore_entry *entry = NULL;
    int result = CLI_DONE;

    *count_out = 0;
    kvstore_status status = kvstore_iterator_create(store, range, &iterator);
    cli_store_end();
    while (status == KVSTORE_OK && !cli_output_has_failed()) {
        status = kvstore_iterator_next(iterator, &entry);
        if (status == KVSTORE_OK && format != NULL) {
            result =
                cli_worse(result, print_entry(options, range, format, entry));
        }
        *count_out += status == KVSTORE_OK ? 1 : 0;
    }
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        cli_flush();
        result =
            cli_worse(result, cli_store_call_failed(options, "read", status));
    }
    kvstore_iterator_free(iterator);
    return result;
}
