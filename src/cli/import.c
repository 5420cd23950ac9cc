/* SPDX-License-Identifier: MIT */

/* kvstore import: stores what export prints, batch by batch. What cannot be read
 * is named and left out. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/pending.h"
#include "cli/source.h"
#include "cli/store.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* How many of the bad records are named. */
#define NAMED_MAX 10

struct importer {
    const struct cli_options *options; /* As given; */
    struct cli_options unsynced;       /* for the handle: one sync at the end
                                          is enough. */
    kvstore *store;                    /* NULL: nothing was written yet. */
    struct cli_source source;
    struct cli_pending pending;
    uint64_t bad;
};

/* The store is opened, and perhaps made, when there is something to write. */
static int open_store(struct importer *importer)
{
    if (importer->store != NULL) {
        return CLI_DONE;
    }
    int result =
        cli_store_open(&importer->unsynced, CLI_CREATE, &importer->store);
    if (result == CLI_DONE) {
        cli_store_begin("importing");
    }
    return result;
}

static int write_pending(struct importer *importer)
{
    if (importer->pending.count == 0) {
        return CLI_DONE;
    }
    int result = open_store(importer);
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status =
        cli_pending_write(&importer->pending, importer->store);
    if (status != KVSTORE_OK) {
        return cli_store_call_failed(importer->options, "import into", status);
    }
    cli_store_tell(importer->source.lines.done, importer->source.lines.total);
    return CLI_DONE;
}

/* A key that is not pending may be in the store. */
static int expire_key(struct importer *importer,
                      const struct cli_change *change)
{
    if (importer->pending.if_absent ||
        cli_pending_expire(&importer->pending, change)) {
        return CLI_DONE;
    }
    int result = write_pending(importer);
    if (result == CLI_DONE) {
        result = open_store(importer);
    }
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status = kvstore_expire(
        importer->store, change->key, change->key_size, change->expires_ms);
    return status == KVSTORE_OK || status == KVSTORE_NOT_FOUND
               ? CLI_DONE
               : cli_store_key_failed(importer->options,
                                      "expire",
                                      change->key,
                                      change->key_size,
                                      status);
}

/* Takes in one change, and writes if there are enough. */
static int take_in(struct importer *importer, struct cli_change *change)
{
    struct cli_pending *pending = &importer->pending;

    if (change->kind == CLI_CHANGE_EXPIRE) {
        return expire_key(importer, change);
    }
    if (change->kind == CLI_CHANGE_SET &&
        change->expires_ms == KVSTORE_EXPIRES_KEEP) {
        (void)cli_pending_find_expiry(pending, change, &change->expires_ms);
    }
    if (!cli_pending_add(pending, change)) {
        cli_tell("out of memory");
        return CLI_FAILED;
    }
    return cli_pending_is_full(pending) ? write_pending(importer) : CLI_DONE;
}

static void note_bad(struct importer *importer)
{
    importer->bad++;
    if (importer->bad <= NAMED_MAX) {
        cli_store_end();
        cli_source_tell(&importer->source, "");
    }
}

/* A condition has no place here. */
static int take_change(struct importer *importer, struct cli_change *change)
{
    if (change->kind == CLI_CHANGE_REQUIRE) {
        importer->source.wrong = "conditions are for batch";
        note_bad(importer);
        return CLI_DONE;
    }
    return take_in(importer, change);
}

static int read_all(struct importer *importer)
{
    struct cli_change change;
    int result = CLI_DONE;

    while (result == CLI_DONE) {
        switch (cli_source_next(&importer->source, &change)) {
        case CLI_SOURCE_END:
            return write_pending(importer);
        case CLI_SOURCE_FAILED:
            (void)write_pending(importer);
            return CLI_FAILED;
        case CLI_SOURCE_BAD:
            note_bad(importer);
            break;
        case CLI_SOURCE_CHANGE:
            result = take_change(importer, &change);
            break;
        }
    }
    return result;
}

static int sync_all(struct importer *importer)
{
    kvstore_status status = importer->options->sync == KVSTORE_SYNC_ALWAYS &&
                                    importer->store != NULL
                                ? kvstore_sync(importer->store)
                                : KVSTORE_OK;

    return status == KVSTORE_OK
               ? CLI_DONE
               : cli_store_call_failed(importer->options, "sync", status);
}

/* Says how many were left out. */
static int tell_bad(const struct importer *importer)
{
    cli_store_end();
    if (importer->bad == 0) {
        return CLI_DONE;
    }
    cli_tell("%ju bad %s left out",
             (uintmax_t)importer->bad,
             importer->bad == 1 ? "record was" : "records were");
    return CLI_PARTIAL;
}

static int import(struct importer *importer, int count, char **operands)
{
    if (!cli_pending_init(&importer->pending,
                          cli_has(importer->options, CLI_OPTION_IF_ABSENT))) {
        cli_tell("out of memory");
        return CLI_FAILED;
    }
    int result = CLI_FAILED;
    if (cli_source_open(
            &importer->source, importer->options, count, operands)) {
        result = cli_worse(read_all(importer), sync_all(importer));
        result = cli_worse(result, tell_bad(importer));
    }
    if (result == CLI_DONE && importer->store != NULL) {
        cli_store_compact_if_due(importer->options, importer->store);
    }
    cli_store_close(importer->store);
    cli_source_close(&importer->source);
    cli_pending_release(&importer->pending);
    return result;
}

int cli_command_import(const struct cli_options *options,
                       int count,
                       char **operands)
{
    struct importer *importer = calloc(1, sizeof(*importer));

    if (importer == NULL) {
        cli_tell("out of memory");
        return CLI_FAILED;
    }
    importer->options = options;
    importer->unsynced = *options;
    importer->unsynced.sync = KVSTORE_SYNC_NONE;
    int result = import(importer, count, operands);
    free(importer);
    return result;
}
