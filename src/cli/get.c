/* SPDX-License-Identifier: MIT */

/* kvstore get: prints the values of keys in the order of the operands. What is
 * missing or damaged is named, and the others are printed. */

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/target.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct getter {
    const struct cli_options *options;
    kvstore *store; /* NULL: there is none. */
    struct cli_format format;
    bool has_printed;
    int result;
};

enum { KEYS_AT_ONCE = 16 };

static enum cli_form choose_form(const struct cli_options *options, int count)
{
    if (cli_has(options, CLI_OPTION_JSON)) {
        return CLI_FORM_JSON;
    }
    if (cli_has(options, CLI_OPTION_NULL)) {
        return CLI_FORM_NUL;
    }
    if (cli_has(options, CLI_OPTION_RAW)) {
        return CLI_FORM_RAW;
    }
    return count > 1 || cli_has(options, CLI_OPTION_WITH_KEYS) ? CLI_FORM_LINE
                                                               : CLI_FORM_VALUE;
}

static int print_value(struct getter *getter, const kvstore_item *item)
{
    const struct cli_entry entry = {.key = item->key,
                                    .key_size = item->key_size,
                                    .value = item->value,
                                    .value_size = item->value_size,
                                    .expires_ms = item->expires_ms};

    getter->has_printed = true;
    return cli_format_print(&getter->format, &entry);
}

static int print_missing(struct getter *getter, const char *key)
{
    char *value = (char *)getter->options->values[CLI_OPTION_DEFAULT];

    if (value != NULL) {
        const kvstore_item item = {.key = key,
                                   .key_size = strlen(key),
                                   .value = value,
                                   .value_size = strlen(value)};
        return print_value(getter, &item);
    }
    cli_flush();
    return cli_store_missing_key(getter->options, key);
}

static int print_item(struct getter *getter, const kvstore_item *item)
{
    if (item->status == KVSTORE_OK) {
        return print_value(getter, item);
    }
    if (item->status == KVSTORE_NOT_FOUND) {
        return print_missing(getter, item->key);
    }
    cli_flush();
    return cli_store_failed(getter->options, "get", item->key, item->status);
}

/* Prints the first of the keys, and returns how many. Few at a time, since their
 * values are all in memory. */
static int get_some(struct getter *getter, int count, char **keys)
{
    kvstore_item items[KEYS_AT_ONCE];

    count = count < KEYS_AT_ONCE ? count : KEYS_AT_ONCE;
    for (int i = 0; i < count; i++) {
        items[i] = (kvstore_item){.key = keys[i],
                                  .key_size = strlen(keys[i]),
                                  .status = KVSTORE_NOT_FOUND};
    }
    if (getter->store != NULL) {
        /* Each item says how it went, also if all of it failed. */
        (void)kvstore_get_many(getter->store, items, (size_t)count);
    }
    for (int i = 0; i < count; i++) {
        if (!cli_output_has_failed()) {
            getter->result =
                cli_worse(getter->result, print_item(getter, &items[i]));
        }
        kvstore_free(items[i].value);
    }
    return count;
}

static int get_keys(struct getter *getter, int count, char **keys)
{
    const char *file = getter->options->values[CLI_OPTION_OUTPUT];
    struct cli_target target = {0};

    if (file != NULL &&
        !cli_target_begin(&target, file, getter->options->data_dir)) {
        (void)cli_target_end(&target, false);
        return CLI_FAILED;
    }
    getter->format = cli_format_of(choose_form(getter->options, count));
    for (int i = 0; i < count && !cli_output_has_failed();) {
        i += get_some(getter, count - i, keys + i);
    }
    cli_format_release(&getter->format);
    /* Without a value there is nothing to replace the file with. */
    bool is_wanted = getter->result == CLI_DONE || getter->has_printed;
    return cli_target_end(&target, is_wanted) ? getter->result : CLI_FAILED;
}

static int check(const struct cli_options *options, int count, char **keys)
{
    if (count > 1 && cli_has(options, CLI_OPTION_RAW)) {
        cli_tell(
            "get: --raw is for one KEY: of several nobody could tell where "
            "one value ends");
        return cli_usage_read_on(cli_command_find("get"));
    }
    return cli_store_check_keys(count, keys);
}

int cli_command_get(const struct cli_options *options,
                    int count,
                    char **operands)
{
    struct getter getter = {.options = options};
    int result = check(options, count, operands);

    if (result == CLI_DONE) {
        result = cli_has(options, CLI_OPTION_DEFAULT)
                     ? cli_store_open_if_there(options, CLI_READ, &getter.store)
                     : cli_store_open(options, CLI_READ, &getter.store);
    }
    if (result == CLI_DONE) {
        result = get_keys(&getter, count, operands);
        cli_store_close(getter.store);
    }
    return result;
}
