/* SPDX-License-Identifier: MIT */

/* kvstore rm: removes keys, in one batch: those that are named, one if it has a
 * certain value, those with a prefix, or all. A missing key is named, and the
 * others are still removed. With --force nothing that is missing is an error:
 * neither a key nor a store nor an operand. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct remover {
    const struct cli_options *options;
    kvstore *store;
    kvstore_batch *batch;
    int count;
    char **keys;
    bool *are_missing; /* One for each key. */
};

/* Puts one key into the batch, or notes that it is missing. A key whose newest
 * line is damaged can be removed, too. */
static kvstore_status add_key(struct remover *remover, int i)
{
    const char *key = remover->keys[i];
    size_t size = strlen(key);
    kvstore_status found = kvstore_exists(remover->store, key, size);

    remover->are_missing[i] = found == KVSTORE_NOT_FOUND;
    if (found == KVSTORE_NOT_FOUND) {
        return KVSTORE_OK;
    }
    if (found != KVSTORE_OK && found != KVSTORE_CORRUPT) {
        return found;
    }
    size_t count = kvstore_batch_count(remover->batch);
    kvstore_status status = kvstore_batch_remove(remover->batch, key, size);
    /* Of a key that is named twice, the second one is not there any more. */
    remover->are_missing[i] = kvstore_batch_count(remover->batch) == count;
    if (status == KVSTORE_OK && found == KVSTORE_OK) {
        status = kvstore_batch_require(
            remover->batch, key, size, KVSTORE_IF_PRESENT, NULL, 0);
    }
    return status;
}

/* Each time that this begins anew, a key is gone that was there before: so each
 * key is either removed here, or named. */
static kvstore_status write_keys(struct remover *remover)
{
    kvstore_status status = KVSTORE_CONFLICT;

    while (status == KVSTORE_CONFLICT) {
        kvstore_batch_clear(remover->batch);
        status = KVSTORE_OK;
        for (int i = 0; status == KVSTORE_OK && i < remover->count; i++) {
            status = add_key(remover, i);
        }
        if (status == KVSTORE_OK) {
            status = kvstore_write(remover->store, remover->batch);
        }
    }
    return status;
}

static int name_missing(const struct remover *remover)
{
    int result = CLI_DONE;

    if (cli_has(remover->options, CLI_OPTION_FORCE)) {
        return result;
    }
    for (int i = 0; i < remover->count; i++) {
        if (remover->are_missing[i]) {
            result = cli_store_missing_key(remover->options, remover->keys[i]);
        }
    }
    return result;
}

static int remove_keys(struct remover *remover)
{
    const struct cli_options *options = remover->options;

    remover->are_missing =
        calloc((size_t)remover->count, sizeof(*remover->are_missing));
    if (remover->are_missing == NULL) {
        cli_tell("out of memory");
        return CLI_FAILED;
    }
    kvstore_status status = write_keys(remover);
    int result = CLI_DONE;
    if (status == KVSTORE_OK) {
        result = name_missing(remover);
    } else if (remover->count == 1) {
        result = cli_store_failed(options, "remove", remover->keys[0], status);
    } else {
        result = cli_store_call_failed(options, "remove keys from", status);
    }
    free(remover->are_missing);
    return result;
}

static int remove_if(struct remover *remover)
{
    const char *key = remover->keys[0];
    const char *value = remover->options->values[CLI_OPTION_IF_VALUE];
    kvstore_status status = kvstore_remove_if(
        remover->store, key, strlen(key), value, strlen(value));

    if (status == KVSTORE_CONFLICT &&
        cli_has(remover->options, CLI_OPTION_FORCE) &&
        kvstore_exists(remover->store, key, strlen(key)) == KVSTORE_NOT_FOUND) {
        return CLI_DONE;
    }
    if (status == KVSTORE_OK || status == KVSTORE_CONFLICT) {
        return cli_exit_status(status);
    }
    return cli_store_failed(remover->options, "remove", key, status);
}

/* Puts a key into the batch. If it is full, it is written first: more than 2^31
 * bytes of removes do not go together. */
static kvstore_status add_found(struct remover *remover,
                                const kvstore_entry *entry)
{
    kvstore_status status =
        kvstore_batch_remove(remover->batch, entry->key, entry->key_size);

    if (status != KVSTORE_TOO_LARGE) {
        return status;
    }
    status = kvstore_write(remover->store, remover->batch);
    kvstore_batch_clear(remover->batch);
    return status != KVSTORE_OK ? status
                                : kvstore_batch_remove(remover->batch,
                                                       entry->key,
                                                       entry->key_size);
}

static int remove_range(struct remover *remover, const char *prefix)
{
    const kvstore_range range = {.size = sizeof(range),
                                 .prefix = prefix,
                                 .prefix_size = strlen(prefix),
                                 .keys_only = true};
    kvstore_iterator *iterator = NULL;
    const kvstore_entry *entry = NULL;

    kvstore_status status =
        kvstore_iterator_create(remover->store, &range, &iterator);
    while (status == KVSTORE_OK) {
        status = kvstore_iterator_next(iterator, &entry);
        if (status == KVSTORE_OK) {
            status = add_found(remover, entry);
        }
    }
    kvstore_iterator_free(iterator);
    if (status == KVSTORE_NOT_FOUND) {
        status = kvstore_write(remover->store, remover->batch);
    }
    return status == KVSTORE_OK ? CLI_DONE
                                : cli_store_call_failed(remover->options,
                                                        "remove keys from",
                                                        status);
}

static int remove_what_is_meant(struct remover *remover)
{
    const struct cli_options *options = remover->options;

    if (cli_has(options, CLI_OPTION_IF_VALUE)) {
        return remove_if(remover);
    }
    kvstore_status status = kvstore_batch_create(&remover->batch);
    if (status != KVSTORE_OK) {
        return cli_store_call_failed(options, "remove keys from", status);
    }
    int result = CLI_DONE;
    if (cli_has(options, CLI_OPTION_ALL)) {
        result = remove_range(remover, "");
    } else if (cli_has(options, CLI_OPTION_PREFIX)) {
        result = remove_range(remover, options->values[CLI_OPTION_PREFIX]);
    } else {
        result = remove_keys(remover);
    }
    kvstore_batch_free(remover->batch);
    return result;
}

/* Returns CLI_DONE if the operands fit the options. */
static int check(const struct cli_options *options, int count, char **keys)
{
    const char *prefix = options->values[CLI_OPTION_PREFIX];
    bool is_range = prefix != NULL || cli_has(options, CLI_OPTION_ALL);

    if (is_range && count > 0) {
        cli_tell("rm: --%s takes the place of KEY",
                 prefix == NULL ? "all" : "prefix");
        return cli_usage_read_on(cli_command_find("rm"));
    }
    if (prefix != NULL && prefix[0] == '\0') {
        cli_tell("rm: the prefix is empty: --all removes all keys");
        return cli_usage_read_on(cli_command_find("rm"));
    }
    bool is_one = cli_has(options, CLI_OPTION_IF_VALUE);
    if ((is_one && count != 1) ||
        (count == 0 && !is_range && !cli_has(options, CLI_OPTION_FORCE))) {
        return cli_usage_operands(cli_command_find("rm"), options, count, keys);
    }
    return cli_store_check_keys(count, keys);
}

/* store_out is NULL afterwards if there is none and nothing to do. */
static int open_store(const struct cli_options *options, kvstore **store_out)
{
    if (cli_has(options, CLI_OPTION_FORCE)) {
        return cli_store_open_if_there(options, CLI_CHANGE, store_out);
    }
    return cli_store_open(options, CLI_CHANGE, store_out);
}

int cli_command_rm(const struct cli_options *options,
                   int count,
                   char **operands)
{
    struct remover remover = {
        .options = options, .count = count, .keys = operands};
    bool is_range =
        cli_has(options, CLI_OPTION_PREFIX) || cli_has(options, CLI_OPTION_ALL);
    int result = check(options, count, operands);

    if (result != CLI_DONE || (count == 0 && !is_range)) {
        return result;
    }
    result = open_store(options, &remover.store);
    if (result == CLI_DONE && remover.store != NULL) {
        result = remove_what_is_meant(&remover);
        if (result == CLI_DONE || result == CLI_NOT_FOUND) {
            cli_store_compact_if_due(options, remover.store);
        }
        cli_store_close(remover.store);
    }
    return result;
}
