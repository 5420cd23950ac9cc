/* SPDX-License-Identifier: MIT */

/* kvstore mv: gives a value another key, in one step, with its bytes and its
 * expiry as they are. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct mover {
    const char *new_key;
    bool if_absent;
    bool is_there;         /* The old key. */
    kvstore_status failed; /* Why there is no batch. */
};

/* A kvstore_update_fn. */
static bool fill(void *context,
                 const kvstore_entry *current,
                 kvstore_batch *batch)
{
    struct mover *mover = context;
    size_t size = strlen(mover->new_key);

    mover->is_there = current->status == KVSTORE_OK;
    if (!mover->is_there) {
        return false;
    }
    /* In this order: whoever reads meanwhile finds one of them. */
    mover->failed = kvstore_batch_set(batch,
                                      mover->new_key,
                                      size,
                                      current->value,
                                      current->value_size,
                                      current->expires_ms);
    if (mover->failed == KVSTORE_OK) {
        mover->failed =
            kvstore_batch_remove(batch, current->key, current->key_size);
    }
    if (mover->failed == KVSTORE_OK && mover->if_absent) {
        mover->failed = kvstore_batch_require(
            batch, mover->new_key, size, KVSTORE_IF_ABSENT, NULL, 0);
    }
    return mover->failed == KVSTORE_OK;
}

/* A key to itself: nothing changes, but it must be there. */
static int stay(const struct cli_options *options,
                const kvstore *store,
                const char *key)
{
    kvstore_status status = kvstore_exists(store, key, strlen(key));

    if (status == KVSTORE_NOT_FOUND) {
        return cli_store_missing_key(options, key);
    }
    if (status != KVSTORE_OK) {
        return cli_store_failed(options, "move", key, status);
    }
    return cli_has(options, CLI_OPTION_IF_ABSENT) ? CLI_CONFLICT : CLI_DONE;
}

static int move(const struct cli_options *options, kvstore *store, char **keys)
{
    struct mover mover = {.new_key = keys[1],
                          .if_absent = cli_has(options, CLI_OPTION_IF_ABSENT)};

    if (strcmp(keys[0], keys[1]) == 0) {
        return stay(options, store, keys[0]);
    }
    kvstore_status status =
        kvstore_update(store, keys[0], strlen(keys[0]), fill, &mover);
    if (status == KVSTORE_OK) {
        cli_store_compact_if_due(options, store);
        return CLI_DONE;
    }
    if (status != KVSTORE_CONFLICT) {
        return cli_store_failed(options, "move", keys[0], status);
    }
    if (!mover.is_there) {
        return cli_store_missing_key(options, keys[0]);
    }
    return mover.failed == KVSTORE_OK
               ? CLI_CONFLICT
               : cli_store_failed(options, "move", keys[0], mover.failed);
}

int cli_command_mv(const struct cli_options *options,
                   int count,
                   char **operands)
{
    kvstore *store = NULL;
    int result = cli_store_check_keys(count, operands);

    if (result == CLI_DONE) {
        result = cli_store_open(options, CLI_CHANGE, &store);
    }
    if (result == CLI_DONE) {
        result = move(options, store, operands);
        cli_store_close(store);
    }
    return result;
}
