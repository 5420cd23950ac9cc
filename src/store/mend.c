/* SPDX-License-Identifier: MIT */

/* What comes after the lines of the pair: nothing, padding, a torn tail, or what a
 * program that takes no lock has appended. */

#include "store/mend.h"

#include "index/index.h"
#include "log/fold.h"
#include "log/mend.h"
#include "os/file.h"
#include "store/pair.h"
#include "store/sync.h"

#include <inttypes.h>

static kvstore_status note_line(void *context, const struct kv_fold_item *item)
{
    bool *has_lines = context;
    (void)item;
    *has_lines = true;
    return KVSTORE_OK;
}

/* has_lines_out: something other than a torn tail or padding comes after the
 * lines of the pair, up to a size of the log. */
static kvstore_status has_lines_up_to(const struct kvstore *store,
                                      uint64_t size,
                                      bool *has_lines_out,
                                      struct kv_fold_result *result_out)
{
    const struct kv_table_totals *totals = &store->index.totals;
    struct kv_fold_range range = {.offset = totals->applied,
                                  .end = size,
                                  .follows = totals->follows,
                                  .may_be_padded = true,
                                  .is_over = has_lines_out};
    *has_lines_out = false;
    *result_out = (struct kv_fold_result){.offset = range.offset};
    return range.end <= range.offset
               ? KVSTORE_OK
               : kv_fold(
                     &store->log, range, note_line, has_lines_out, result_out);
}

/* has_gained_out: a program that takes no lock has appended to the log, or to
 * its last line if that lacked its newline, since the pair was brought up to
 * date. */
static kvstore_status has_gained(const struct kvstore *store,
                                 uint64_t size,
                                 bool *has_gained_out,
                                 struct kv_fold_result *result_out)
{
    bool matches = true;
    kvstore_status status =
        has_lines_up_to(store, size, has_gained_out, result_out);
    if (status == KVSTORE_OK && !*has_gained_out) {
        status = kv_index_matches(&store->index, &store->log, &matches);
        *has_gained_out = status == KVSTORE_OK && !matches;
    }
    return status;
}

kvstore_status kv_store_mend(struct kvstore *store, bool *has_gained_out)
{
    uint64_t size = 0;
    struct kv_fold_result result;
    uint64_t applied = store->index.totals.applied;
    *has_gained_out = false;
    kvstore_status status = kv_io_end(&store->log.file, &size);
    if (status != KVSTORE_OK || applied == size) {
        return status;
    }
    status = has_gained(store, size, has_gained_out, &result);
    if (status != KVSTORE_OK || *has_gained_out) {
        return status;
    }
    /* So the end is torn, as padding is, or a newline is missing. */
    result.is_torn = applied < size;
    result.is_unterminated = !result.is_torn;
    char saved[KV_CUT_NAME_SIZE];
    status = kv_mend_end(&store->log, &store->directory, size, &result, saved);
    if (status == KVSTORE_OK && saved[0] != '\0') {
        kv_warnings_note(&store->warnings,
                         "the last %" PRIu64
                         " bytes of %s do not read, and may be more than one "
                         "unfinished write: they are in %s now",
                         size - result.offset,
                         KV_LOG_NAME,
                         saved);
    }
    return status == KVSTORE_OK ? kv_store_sync(store, result.offset) : status;
}
