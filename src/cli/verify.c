/* SPDX-License-Identifier: MIT */

/* kvstore verify: checks the whole log and the index, and prints one line for
 * each damaged place. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally {
    uint64_t places;
    uint64_t newer; /* Those of them that are records of a newer version. */
    bool has_index_damage;
};

static const char *kind_in_words(int kind)
{
    switch (kind) {
    case KVSTORE_DAMAGE_LINE:
        return "no record";
    case KVSTORE_DAMAGE_SUM:
        return "the sum does not fit";
    case KVSTORE_DAMAGE_BATCH:
        return "of a batch that is not whole";
    case KVSTORE_DAMAGE_INDEX:
        return "sound, and store.index does not lead there";
    case KVSTORE_DAMAGE_NEWER:
        return "of a newer version";
    default:
        return "damaged";
    }
}

static bool print_place(void *context, const kvstore_damage *damage)
{
    struct tally *tally = context;
    bool is_of_index = damage->kind == KVSTORE_DAMAGE_INDEX ||
                       damage->kind == KVSTORE_DAMAGE_COUNTS;

    cli_store_end(); /* Removes the line of the progress. */
    tally->places++;
    tally->newer += damage->kind == KVSTORE_DAMAGE_NEWER ? 1 : 0;
    tally->has_index_damage = tally->has_index_damage || is_of_index;
    if (damage->kind == KVSTORE_DAMAGE_COUNTS) {
        cli_print("store.index: as a whole it is not true to store.log\n");
        return true;
    }
    cli_print("store.log: %" PRIu64 " bytes at offset %" PRIu64 ": %s",
              damage->length,
              damage->offset,
              kind_in_words(damage->kind));
    bool printed = true;
    if (damage->key != NULL) {
        cli_print(", key ");
        printed = cli_print_escaped(damage->key, damage->key_size);
    }
    return printed && cli_print_bytes("\n", 1);
}

static void tell_tally(const struct cli_options *options,
                       const struct tally *tally)
{
    uint64_t damaged = tally->places - tally->newer;
    if (damaged > 0) {
        cli_tell("'%s' is damaged in %ju %s",
                 options->data_dir,
                 (uintmax_t)damaged,
                 damaged == 1 ? "place" : "places");
    }
    if (tally->newer > 0) {
        cli_tell("'%s' has %ju %s of a newer version: it can only be read",
                 options->data_dir,
                 (uintmax_t)tally->newer,
                 tally->newer == 1 ? "record" : "records");
    }
}

int cli_command_verify(const struct cli_options *options,
                       int count,
                       char **operands)
{
    struct tally tally = {0};
    kvstore *store = NULL;

    (void)count;
    (void)operands;
    int result = cli_store_open(options, CLI_READ, &store);
    if (result != CLI_DONE) {
        return result;
    }
    cli_store_begin("verifying");
    kvstore_status status = kvstore_verify(store, print_place, &tally);
    cli_store_end();
    cli_flush();
    if (status == KVSTORE_CORRUPT && tally.places > 0) {
        tell_tally(options, &tally);
        result = cli_exit_status(status);
    } else if (status != KVSTORE_OK) {
        result = cli_store_call_failed(options, "verify", status);
    }
    if (tally.has_index_damage) {
        cli_tell("store.index is a cache: delete it, and it is built anew");
    }
    cli_store_close_told(store);
    return result;
}
