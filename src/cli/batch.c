/* SPDX-License-Identifier: MIT */

/* kvstore batch: makes all changes that it reads, or none. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/store.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>

struct batcher {
    const struct cli_options *options;
    struct cli_source source;
    kvstore_batch *batch;
    bool has_any;       /* A change or a condition. */
    bool needs_present; /* A condition that no new store meets. */
};

/* Puts a condition into the batch. */
static kvstore_status require(struct batcher *batcher,
                              const struct cli_change *change)
{
    bool has_value = change->condition == KVSTORE_IF_VALUE;

    batcher->needs_present =
        batcher->needs_present || change->condition != KVSTORE_IF_ABSENT;
    return kvstore_batch_require(batcher->batch,
                                 change->key,
                                 change->key_size,
                                 change->condition,
                                 has_value ? change->value : NULL,
                                 has_value ? change->value_size : 0);
}

static kvstore_status add(struct batcher *batcher,
                          const struct cli_change *change)
{
    kvstore_status status = KVSTORE_OK;

    batcher->has_any = true;
    if (change->kind == CLI_CHANGE_REQUIRE) {
        return require(batcher, change);
    }
    if (change->kind == CLI_CHANGE_REMOVE) {
        return kvstore_batch_remove(
            batcher->batch, change->key, change->key_size);
    }
    if (cli_has(batcher->options, CLI_OPTION_IF_ABSENT)) {
        status = kvstore_batch_require(batcher->batch,
                                       change->key,
                                       change->key_size,
                                       KVSTORE_IF_ABSENT,
                                       NULL,
                                       0);
    }
    return status != KVSTORE_OK ? status
                                : kvstore_batch_set(batcher->batch,
                                                    change->key,
                                                    change->key_size,
                                                    change->value,
                                                    change->value_size,
                                                    change->expires_ms);
}

static int refuse(const struct batcher *batcher)
{
    cli_source_tell(&batcher->source, "; nothing was changed");
    return CLI_USAGE;
}

static int read_all(struct batcher *batcher)
{
    struct cli_change change;

    while (true) {
        enum cli_source_result found =
            cli_source_next(&batcher->source, &change);
        if (found == CLI_SOURCE_CHANGE && change.kind == CLI_CHANGE_EXPIRE) {
            batcher->source.wrong = "an expiry of what is there is for import";
            found = CLI_SOURCE_BAD;
        }
        if (found == CLI_SOURCE_END) {
            return CLI_DONE;
        }
        if (found == CLI_SOURCE_FAILED) {
            return CLI_FAILED;
        }
        if (found == CLI_SOURCE_BAD) {
            return refuse(batcher);
        }
        kvstore_status status = add(batcher, &change);
        if (status != KVSTORE_OK) {
            return cli_store_call_failed(
                batcher->options, "make a batch for", status);
        }
    }
}

static int write_batch(struct batcher *batcher)
{
    kvstore *store = NULL;
    int result = batcher->needs_present
                     ? cli_store_open_for_present(batcher->options, &store)
                     : cli_store_open(batcher->options, CLI_CREATE, &store);

    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status = kvstore_write(store, batcher->batch);
    if (status == KVSTORE_OK) {
        cli_store_compact_if_due(batcher->options, store);
    } else if (status == KVSTORE_CONFLICT) {
        result = CLI_CONFLICT;
    } else {
        result = cli_store_call_failed(batcher->options, "change", status);
    }
    cli_store_close(store);
    return result;
}

int cli_command_batch(const struct cli_options *options,
                      int count,
                      char **operands)
{
    struct batcher batcher = {.options = options};
    int result = CLI_FAILED;

    if (kvstore_batch_create(&batcher.batch) != KVSTORE_OK) {
        cli_tell("out of memory");
        return CLI_FAILED;
    }
    if (cli_source_open(&batcher.source, options, count, operands)) {
        result = read_all(&batcher);
    }
    if (result == CLI_DONE && batcher.has_any) {
        result = write_batch(&batcher);
    }
    cli_source_close(&batcher.source);
    kvstore_batch_free(batcher.batch);
    return result;
}
