/* SPDX-License-Identifier: MIT */

/* kvstore incr: adds to a whole number, and prints the sum. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Reads a whole number, with a sign or without, and nothing around it. */
static bool read_amount(const char *text, int64_t *amount_out)
{
    const char *digits = text + (text[0] == '-' || text[0] == '+' ? 1 : 0);
    char *end = NULL;

    if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0') {
        return false;
    }
    errno = 0;
    *amount_out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static int add(const struct cli_options *options,
               kvstore *store,
               const char *key,
               int64_t amount)
{
    int64_t sum = 0;
    kvstore_status status = kvstore_increment(
        store, key, strlen(key), amount, options->expires_ms, &sum);

    if (status == KVSTORE_CONFLICT) {
        cli_tell("cannot add to '%s' in '%s': its value is no whole number, or "
                 "the sum is beyond 64 bits",
                 key,
                 options->data_dir);
        return CLI_CONFLICT;
    }
    if (status != KVSTORE_OK) {
        return cli_store_failed(options, "add to", key, status);
    }
    cli_print("%" PRId64 "\n", sum);
    cli_flush();
    if (cli_output_has_failed()) {
        cli_tell(
            "'%s' in '%s' was added to all the same", key, options->data_dir);
    }
    cli_store_compact_if_due(options, store);
    return CLI_DONE;
}

int cli_command_incr(const struct cli_options *options,
                     int count,
                     char **operands)
{
    kvstore *store = NULL;
    int64_t amount = 1;

    int result = cli_store_check_key(operands[0]);
    if (result != CLI_DONE) {
        return result;
    }
    if (count > 1 && !read_amount(operands[1], &amount)) {
        cli_tell("incr: '%s' is no whole number of 64 bits", operands[1]);
        return cli_usage_read_on(cli_command_find("incr"));
    }
    result = cli_store_open(options, CLI_CREATE, &store);
    if (result == CLI_DONE) {
        result = add(options, store, operands[0], amount);
        cli_store_close(store);
    }
    return result;
}
