/* SPDX-License-Identifier: MIT */

/* kvstore take: prints a value and removes its key, in one step: of several that
 * take at once, one gets it. */

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* As many keys are kept in mind, for the case that others take the first ones. */
#define KEYS_AHEAD 64

struct taker {
    const struct cli_options *options;
    kvstore *store;
    struct cli_format format;
    void *value; /* What was taken. */
    size_t value_size;
    int64_t expires_ms;
    bool is_there;
    bool has_no_memory;
};

/* A kvstore_update_fn: keeps the value, and removes the key. It may be called
 * again, after somebody else has changed the key. */
static bool keep_and_remove(void *context,
                            const kvstore_entry *current,
                            kvstore_batch *batch)
{
    struct taker *taker = context;

    free(taker->value);
    taker->value = NULL;
    taker->is_there = current->status == KVSTORE_OK;
    if (!taker->is_there) {
        return false;
    }
    taker->value = malloc(current->value_size + 1);
    if (taker->value == NULL) {
        taker->has_no_memory = true;
        return false;
    }
    if (current->value_size > 0) {
        memcpy(taker->value, current->value, current->value_size);
    }
    taker->value_size = current->value_size;
    taker->expires_ms = current->expires_ms;
    taker->has_no_memory =
        kvstore_batch_remove(batch, current->key, current->key_size) !=
        KVSTORE_OK;
    return !taker->has_no_memory;
}

static enum cli_form choose_form(const struct cli_options *options)
{
    bool has_key = cli_has(options, CLI_OPTION_WITH_KEYS) ||
                   cli_has(options, CLI_OPTION_PREFIX);

    if (cli_has(options, CLI_OPTION_JSON)) {
        return CLI_FORM_JSON;
    }
    if (cli_has(options, CLI_OPTION_NULL)) {
        return CLI_FORM_NUL;
    }
    if (cli_has(options, CLI_OPTION_RAW)) {
        return CLI_FORM_RAW;
    }
    return has_key ? CLI_FORM_LINE : CLI_FORM_VALUE;
}

/* What could not be printed goes back, unless somebody has set the key since. */
static void put_back(const struct taker *taker, const void *key, size_t size)
{
    const kvstore_set_options wanted = {.size = sizeof(wanted),
                                        .condition = KVSTORE_IF_ABSENT,
                                        .expires_ms = taker->expires_ms};
    kvstore_status status = kvstore_set_with(
        taker->store, key, size, taker->value, taker->value_size, &wanted);

    if (status == KVSTORE_OK) {
        cli_tell_key("was put back", key, size);
        return;
    }
    if (status != KVSTORE_CONFLICT) {
        (void)cli_store_key_failed(
            taker->options, "put back", key, size, status);
    }
    cli_tell_key("was taken and not put back; its value is in store.log until "
                 "a compaction",
                 key,
                 size);
}

/* CLI_NOT_FOUND: the key is not there, or was taken by another. */
static int take_key(struct taker *taker, const void *key, size_t size)
{
    kvstore_status status =
        kvstore_update(taker->store, key, size, keep_and_remove, taker);

    if (status == KVSTORE_CONFLICT && !taker->is_there) {
        return CLI_NOT_FOUND;
    }
    if (taker->has_no_memory) {
        cli_tell("out of memory");
        return CLI_FAILED;
    }
    if (status != KVSTORE_OK) {
        return cli_store_key_failed(taker->options, "take", key, size, status);
    }
    const struct cli_entry entry = {.key = key,
                                    .key_size = size,
                                    .value = taker->value,
                                    .value_size = taker->value_size,
                                    .expires_ms = taker->expires_ms};
    int result = cli_format_print(&taker->format, &entry);
    cli_flush();
    if (result != CLI_DONE || cli_output_has_failed()) {
        put_back(taker, key, size);
    }
    return result;
}

/* Takes the first of these keys that nobody else takes before. found_out: there
 * were keys. */
static int take_one_of(struct taker *taker,
                       kvstore_iterator *iterator,
                       bool *found_out)
{
    const kvstore_entry *entry = NULL;
    int result = CLI_NOT_FOUND;

    *found_out = false;
    while (result == CLI_NOT_FOUND) {
        kvstore_status status = kvstore_iterator_next(iterator, &entry);
        if (status == KVSTORE_NOT_FOUND) {
            break;
        }
        if (status != KVSTORE_OK) {
            return cli_store_call_failed(taker->options, "read", status);
        }
        *found_out = true;
        result = take_key(taker, entry->key, entry->key_size);
    }
    return result;
}

static int take_first(struct taker *taker)
{
    const char *prefix = taker->options->values[CLI_OPTION_PREFIX];
    const kvstore_range range = {.size = sizeof(range),
                                 .prefix = prefix,
                                 .prefix_size = strlen(prefix),
                                 .limit = KEYS_AHEAD,
                                 .keys_only = true};
    bool found = true;
    int result = CLI_NOT_FOUND;

    /* If others took all of them, there may be more. */
    while (found && result == CLI_NOT_FOUND) {
        kvstore_iterator *iterator = NULL;
        kvstore_status status =
            kvstore_iterator_create(taker->store, &range, &iterator);
        if (status != KVSTORE_OK) {
            return cli_store_call_failed(taker->options, "read", status);
        }
        result = take_one_of(taker, iterator, &found);
        kvstore_iterator_free(iterator);
    }
    return result;
}

static int check(const struct cli_options *options, int count, char **operands)
{
    const struct cli_command *command = cli_command_find("take");
    const char *prefix = options->values[CLI_OPTION_PREFIX];

    if (prefix == NULL && count == 0) {
        return cli_usage_operands(command, options, count, operands);
    }
    if (prefix != NULL && count > 0) {
        cli_tell("take: --prefix takes the place of KEY");
        return cli_usage_read_on(command);
    }
    return cli_store_check_keys(count, operands);
}

int cli_command_take(const struct cli_options *options,
                     int count,
                     char **operands)
{
    struct taker taker = {.options = options};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int result = check(options, count, operands);

    if (result == CLI_DONE) {
        result = cli_store_open(options, CLI_CHANGE, &taker.store);
    }
    if (result != CLI_DONE) {
        return result;
    }
    /* A reader that is gone must not keep this from putting back. */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    taker.format = cli_format_of(choose_form(options));
    result = count == 0 ? take_first(&taker)
                        : take_key(&taker, operands[0], strlen(operands[0]));
    if (result == CLI_DONE && !cli_output_has_failed()) {
        cli_store_compact_if_due(options, taker.store);
    }
    cli_store_close(taker.store);
    cli_format_release(&taker.format);
    free(taker.value);
    return result;
}
