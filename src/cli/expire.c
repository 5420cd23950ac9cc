/* SPDX-License-Identifier: MIT */

/* kvstore expire: gives keys another expiry, in one batch. A missing key is
 * named, and the others are still changed. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct expirer {
    const struct cli_options *options;
    kvstore *store;
    kvstore_batch *batch;
    int64_t expires_ms;
    size_t count;
    kvstore_item *items;
};

static kvstore_status add_items(struct expirer *expirer)
{
    kvstore_status status =
        kvstore_get_many(expirer->store, expirer->items, expirer->count);

    for (size_t i = 0; status == KVSTORE_OK && i < expirer->count; i++) {
        kvstore_item *item = &expirer->items[i];
        if (item->status != KVSTORE_OK) {
            continue;
        }
        status = kvstore_batch_set(expirer->batch,
                                   item->key,
                                   item->key_size,
                                   item->value,
                                   item->value_size,
                                   expirer->expires_ms);
        if (status == KVSTORE_OK) {
            status = kvstore_batch_require(expirer->batch,
                                           item->key,
                                           item->key_size,
                                           KVSTORE_IF_VALUE,
                                           item->value,
                                           item->value_size);
        }
    }
    for (size_t i = 0; i < expirer->count; i++) {
        kvstore_free(expirer->items[i].value);
        expirer->items[i].value = NULL;
    }
    return status;
}

/* Begins anew whenever somebody has changed one of the values since it was
 * read. */
static kvstore_status write_items(struct expirer *expirer)
{
    kvstore_status status = KVSTORE_CONFLICT;

    while (status == KVSTORE_CONFLICT) {
        kvstore_batch_clear(expirer->batch);
        status = add_items(expirer);
        if (status == KVSTORE_OK) {
            status = kvstore_write(expirer->store, expirer->batch);
        }
    }
    return status;
}

static int tell_items(const struct expirer *expirer)
{
    int result = CLI_DONE;

    for (size_t i = 0; i < expirer->count; i++) {
        const kvstore_item *item = &expirer->items[i];
        int told = CLI_DONE;
        if (item->status == KVSTORE_NOT_FOUND) {
            told = cli_has(expirer->options, CLI_OPTION_FORCE)
                       ? CLI_DONE
                       : cli_store_missing_key(expirer->options, item->key);
        } else if (item->status != KVSTORE_OK) {
            told = cli_store_failed(
                expirer->options, "expire", item->key, item->status);
        }
        result = cli_worse(result, told);
    }
    return result;
}

static int expire_keys(struct expirer *expirer, char **keys)
{
    expirer->items = calloc(expirer->count, sizeof(*expirer->items));
    if (expirer->items == NULL ||
        kvstore_batch_create(&expirer->batch) != KVSTORE_OK) {
        cli_tell("out of memory");
        free(expirer->items);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < expirer->count; i++) {
        expirer->items[i].key = keys[i];
        expirer->items[i].key_size = strlen(keys[i]);
    }
    kvstore_status status = write_items(expirer);
    int result = CLI_DONE;
    if (status == KVSTORE_OK) {
        result = tell_items(expirer);
        cli_store_compact_if_due(expirer->options, expirer->store);
    } else {
        result =
            cli_store_call_failed(expirer->options, "expire keys in", status);
    }
    kvstore_batch_free(expirer->batch);
    free(expirer->items);
    return result;
}

int cli_command_expire(const struct cli_options *options,
                       int count,
                       char **operands)
{
    struct expirer expirer = {.options = options, .count = (size_t)count - 1};

    if (!cli_options_read_when(
            "expire", operands[0], false, &expirer.expires_ms)) {
        return cli_usage_read_on(cli_command_find("expire"));
    }
    int result = cli_store_check_keys(count - 1, operands + 1);
    if (result != CLI_DONE) {
        return result;
    }
    result = cli_has(options, CLI_OPTION_FORCE)
                 ? cli_store_open_if_there(options, CLI_CHANGE, &expirer.store)
                 : cli_store_open(options, CLI_CHANGE, &expirer.store);
    if (result == CLI_DONE && expirer.store != NULL) {
        result = expire_keys(&expirer, operands + 1);
        cli_store_close(expirer.store);
    }
    return result;
}
