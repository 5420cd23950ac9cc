/* SPDX-License-Identifier: MIT */

/* kvstore repair: moves damaged lines out of the log, and prints where they went.
 */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally {
    uint64_t places;
    uint64_t bytes;
};

static bool print_place(void *context, const kvstore_damage *damage)
{
    struct tally *tally = context;

    tally->places++;
    tally->bytes += damage->length;
    cli_print("store.log: %" PRIu64 " bytes at offset %" PRIu64
              ": moved to %s\n",
              damage->length,
              damage->offset,
              damage->file);
    return true;
}

int cli_command_repair(const struct cli_options *options,
                       int count,
                       char **operands)
{
    struct tally tally = {0};
    kvstore *store = NULL;

    (void)count;
    (void)operands;
    int result = cli_store_open(options, CLI_CHANGE, &store);
    if (result != CLI_DONE) {
        return result;
    }
    cli_store_begin("repairing");
    kvstore_status status = kvstore_repair(store, print_place, &tally);
    cli_store_end();
    cli_flush();
    if (tally.places > 0) {
        cli_tell("%ju damaged %s, %ju bytes, moved out of '%s/store.log': a "
                 "key may be older than its last write",
                 (uintmax_t)tally.places,
                 tally.places == 1 ? "place" : "places",
                 (uintmax_t)tally.bytes,
                 options->data_dir);
    }
    if (status != KVSTORE_OK) {
        result = cli_store_call_failed(options, "repair", status);
    }
    cli_store_close(store);
    return result;
}
