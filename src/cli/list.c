/* SPDX-License-Identifier: MIT */

/* kvstore list: prints the keys of a range in order, with their values if that is
 * asked for, or how many they are. */

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/walk.h"
#include <kvstore.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static enum cli_form choose_form(const struct cli_options *options)
{
    if (cli_has(options, CLI_OPTION_JSON)) {
        return CLI_FORM_JSON;
    }
    if (cli_has(options, CLI_OPTION_NULL)) {
        return CLI_FORM_NUL;
    }
    return cli_has(options, CLI_OPTION_VALUES) ? CLI_FORM_LINE : CLI_FORM_KEY;
}

static kvstore_range range_of(const struct cli_options *options,
                              const char *prefix)
{
    const char *from = options->values[CLI_OPTION_FROM];
    const char *to = options->values[CLI_OPTION_TO];

    return (kvstore_range){
        .size = sizeof(kvstore_range),
        .prefix = prefix,
        .prefix_size = strlen(prefix),
        .from = from,
        .from_size = from == NULL ? 0 : strlen(from),
        .to = to,
        .to_size = to == NULL ? 0 : strlen(to),
        .limit = options->limit,
        .reverse = cli_has(options, CLI_OPTION_REVERSE),
        .keys_only = !cli_has(options, CLI_OPTION_VALUES),
    };
}

/* True if these options leave no key: for the library, nothing is no limit. */
static bool is_empty(const struct cli_options *options)
{
    const char *to = options->values[CLI_OPTION_TO];

    return (to != NULL && to[0] == '\0') ||
           (cli_has(options, CLI_OPTION_LIMIT) && options->limit == 0);
}

static int list_keys(const struct cli_options *options,
                     const kvstore *store,
                     const char *prefix)
{
    const kvstore_range range = range_of(options, prefix);
    struct cli_format format = cli_format_of(choose_form(options));
    bool is_counting = cli_has(options, CLI_OPTION_COUNT);
    uint64_t count = 0;
    int result = CLI_DONE;

    if (!is_empty(options)) {
        result = cli_walk(
            options, store, &range, is_counting ? NULL : &format, &count);
    }
    if (is_counting && result == CLI_DONE) {
        cli_print("%" PRIu64 "\n", count);
    }
    cli_format_release(&format);
    return result;
}

int cli_command_list(const struct cli_options *options,
                     int count,
                     char **operands)
{
    kvstore *store = NULL;

    int result = cli_store_open(options, CLI_READ, &store);
    if (result == CLI_DONE) {
        result = list_keys(options, store, count == 0 ? "" : operands[0]);
        cli_store_close(store);
    }
    return result;
}
