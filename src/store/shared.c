/* SPDX-License-Identifier: MIT */

/* The shared index, under the writers' lock. Where none can be shared, it falls
 * back on a private one. */

#include "store/shared.h"

#include "index/build.h"
#include "index/file.h"
#include "index/grow.h"
#include "index/index.h"
#include "index/table.h"
#include "index/trust.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/mend.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/file.h"
#include "os/system.h"
#include "store/pair.h"
#include "store/private.h"
#include "store/switch.h"
#include "store/sync.h"

#include <assert.h>
#include <errno.h>

/* --- Under the writers' lock --- */

/* Replaces the pair's index by one that has all of it, and is larger or was
 * built anew. */
static kvstore_status switch_index(struct kvstore *store,
                                   const struct kv_log *log,
                                   struct kv_table *old_table,
                                   struct kv_index *index,
                                   bool *is_sync_lost_out)
{
    struct kv_log new_log = *log;
    struct kv_switch change = {.directory = &store->directory,
                               .old_table = old_table,
                               .is_store_new = store->has_made_log,
                               .poisoned_inode =
                                   atomic_load(&store->poisoned_inode),
                               .log = &new_log,
                               .index = index};
    kvstore_status status = kv_switch_run(&change);
    *is_sync_lost_out = status != KVSTORE_OK;
    if (status == KVSTORE_OK && !change.is_index_in_place) {
        status = kvstore_last_error()->status;
    }
    return status;
}

kvstore_status kv_store_grow(struct kvstore *store)
{
    struct kv_index larger;
    bool is_sync_lost = false;
    if (!store->index.is_shared) {
        return kv_store_grow_privately(store);
    }
    if (kv_index_is_worn(&store->index) || kv_index_is_crowded(&store->index)) {
        return kv_store_rebuild_locked(store);
    }
    kv_index_file_sweep(&store->directory);
    kvstore_status status =
        kv_index_create_larger(&store->index, &store->log, &larger);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = switch_index(
        store, &store->log, kv_store_told_table(store), &larger, &is_sync_lost);
    if (status != KVSTORE_OK) {
        kv_index_release(&larger);
        return status;
    }
    kv_store_install(store, &store->log, &larger);
    return KVSTORE_OK;
}

/* Folds what the log has after the lines of a shared index (Invariant 3 of
 * pair.c). */
static kvstore_status catch_up_shared(struct kvstore *store)
{
    uint64_t size = 0;
    bool has_lines = false;
    uint64_t applied = store->index.totals.applied;
    kvstore_status status = kv_io_end(&store->log.file, &size);
    if (status == KVSTORE_OK && applied < size) {
        status = kv_log_has_more(&store->log, applied, size, &has_lines);
    }
    if (status != KVSTORE_OK || kv_store_is_poisoned(store) || !has_lines) {
        return status;
    }
    atomic_store(&store->index.table.header->holder_folds, 1);
    if (store->is_durable) {
        status = kv_store_sync(store, 0);
    }
    enum kv_catch_up outcome = KV_CATCH_UP_LACKS_ROOM;
    /* An index that was built anew in order to grow has all lines. */
    while (status == KVSTORE_OK && outcome == KV_CATCH_UP_LACKS_ROOM &&
           store->index.totals.applied < size) {
        status = kv_build_catch_up(&store->log,
                                   size,
                                   kv_store_progress(store),
                                   false,
                                   &store->index,
                                   &outcome);
        if (status == KVSTORE_OK && outcome == KV_CATCH_UP_LACKS_ROOM) {
            status = kv_store_grow(store);
            atomic_store(&store->index.table.header->holder_folds, 1);
        }
    }
    atomic_store(&store->index.table.header->holder_folds, 0);
    return status;
}

/* Waits until no process can still be using an unlinked index. Since this
 * handle last knew of none, the maker of one would have changed the
 * directory. */
static kvstore_status await_unshared(struct kvstore *store)
{
    struct kv_io_stat stat;
    kvstore_status status = kv_io_stat(&store->directory, &stat);
    if (status == KVSTORE_OK && stat.changed_ns != store->unshared_ns) {
        kv_io_sleep_ns(KV_GRACE_NS);
        store->unshared_ns = stat.changed_ns;
    }
    return status;
}

/* An index that cannot be shared must not be there: others would use one that
 * is not kept up to date. */
static kvstore_status unname_unshared_index(struct kvstore *store)
{
    struct kv_io_stat stat;
    kv_error_hold();
    if (kv_io_stat_name(&store->directory, KV_INDEX_NAME, &stat) ==
            KVSTORE_OK &&
        stat.is_regular) {
        (void)kv_io_unlink(&store->directory, KV_INDEX_NAME);
    }
    kv_error_release();
    return await_unshared(store);
}

/* Builds an index to be shared; of the pair, only the log is open. */
static kvstore_status build_shared(struct kvstore *store,
                                   struct kv_table *old_table,
                                   struct kv_pair *pair,
                                   bool *is_sync_lost_out)
{
    uint64_t size = 0;
    struct kv_fold_result result;
    *is_sync_lost_out = false;
    kv_index_file_sweep(&store->directory);
    kvstore_status status = kv_io_end(&pair->log.file, &size);
    if (status == KVSTORE_OK && store->is_durable && size > 0) {
        status = kv_io_sync_data(&pair->log.file);
        *is_sync_lost_out = status != KVSTORE_OK;
    }
    if (status == KVSTORE_OK) {
        kv_log_map(&pair->log); /* Stale lines are looked up one by one. */
        status = kv_build_index(&pair->log,
                                size,
                                kv_store_progress(store),
                                &store->directory,
                                &pair->index,
                                &result);
        kv_log_unmap(&pair->log);
    }
    if (status == KVSTORE_OK) {
        status = switch_index(
            store, &pair->log, old_table, &pair->index, is_sync_lost_out);
    }
    if (status != KVSTORE_OK) {
        kv_index_release(&pair->index);
    }
    return status;
}

/* True if the last call failed in a way that another try will not cure: then
 * this process goes on alone. */
static bool cannot_share(void)
{
    switch (kvstore_last_error()->system_errno) {
    case EACCES:
    case EDQUOT:
    case EEXIST: /* It is not a regular file. */
    case EFBIG:
    case ENODEV:
    case ENOSPC:
    case EPERM:
    case EROFS:
        return true;
    default:
        return false;
    }
}

/* Goes on with an index for this process alone. */
static kvstore_status go_alone(struct kvstore *store, bool is_sync_lost)
{
    kvstore_status status = unname_unshared_index(store);
    if (status == KVSTORE_OK) {
        status = kv_store_load_privately(store, true);
    }
    if (is_sync_lost) {
        kv_store_poison(store);
    }
    return status;
}

/* Builds the index of the log by name, shared if possible. */
static kvstore_status build_locked(struct kvstore *store,
                                   struct kv_table *old_table)
{
    struct kv_pair pair = {.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    bool is_sync_lost = false;
    kv_log_trim(&store->log); /* No other handle knows of that padding. */
    kvstore_status status = kv_store_open_log(store, &pair.log);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = build_shared(store, old_table, &pair, &is_sync_lost);
    if (status == KVSTORE_OK) {
        kv_store_install(store, &pair.log, &pair.index);
        return KVSTORE_OK;
    }
    bool goes_alone = status == KVSTORE_IO && (is_sync_lost || cannot_share());
    kv_log_close(&pair.log);
    return goes_alone ? go_alone(store, is_sync_lost) : status;
}

kvstore_status kv_store_rebuild_locked(struct kvstore *store)
{
    struct kv_table *named = kv_store_told_table(store);
    if (named == NULL) {
        return build_locked(store, NULL);
    }
    /* The old mapping stays until its state has been set. */
    struct kv_table old_table = *named;
    return build_locked(store, &old_table);
}

/* Opens the pair by name, and completes a switch whose process died. If the
 * index cannot be trusted, there is no pair. */
static kvstore_status open_settled(struct kvstore *store,
                                   struct kv_pair *pair,
                                   bool *is_trusted_out)
{
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    bool has_more = false;
    int64_t looked_ns = kv_io_clock_coarse_ns();
    kv_log_trim(&store->log);
    kvstore_status status = kv_pair_open(store, pair, &trust, &has_more);
    if (status == KVSTORE_OK && trust == KV_INDEX_FILE_UNSETTLED) {
        status = kv_switch_complete(
            &store->directory, &pair->log, &pair->index.table);
    }
    *is_trusted_out = status == KVSTORE_OK && trust != KV_INDEX_FILE_UNTRUSTED;
    if (*is_trusted_out) {
        atomic_store(&store->checked_ns, looked_ns);
    } else {
        kv_pair_close(pair);
    }
    return status;
}

/* What a shared index is worth, now that it should have caught up. */
enum worth {
    WORTH_KEEPING,   /* It has all that may be folded, or is not to blame. */
    WORTH_REPLACING, /* It is in doubt. Processes that have it mapped are
                        notified. */
    WORTH_LEAVING,   /* The disk has no room for a larger one. */
};

static enum worth judge_worth(struct kvstore *store, kvstore_status status)
{
    if (kv_store_is_poisoned(store)) {
        return WORTH_KEEPING;
    }
    if (status == KVSTORE_OK && store->index.totals.is_in_doubt != 0) {
        return WORTH_REPLACING;
    }
    return status == KVSTORE_IO && kvstore_last_error()->system_errno == ENOSPC
               ? WORTH_LEAVING
               : WORTH_KEEPING;
}

/* Goes on with the pair by name, or with an index that is built for its log. */
static kvstore_status open_locked(struct kvstore *store)
{
    struct kv_pair pair;
    bool is_trusted = false;
    kvstore_status status = open_settled(store, &pair, &is_trusted);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (!is_trusted) {
        return build_locked(store, NULL);
    }
    kv_store_install(store, &pair.log, &pair.index);
    status = catch_up_shared(store);
    switch (judge_worth(store, status)) {
    case WORTH_KEEPING:
        break;
    case WORTH_REPLACING:
        status = kv_store_rebuild_locked(store);
        break;
    case WORTH_LEAVING:
        status = build_locked(store, NULL);
        break;
    }
    return status;
}

/* Goes on with a private pair if no index has a name by now. */
static kvstore_status follow_private_locked(struct kvstore *store,
                                            bool *is_done_out)
{
    struct kv_io_stat stat;
    *is_done_out = false;
    kvstore_status status =
        kv_io_stat_name(&store->directory, KV_INDEX_NAME, &stat);
    if (status != KVSTORE_NOT_FOUND || store->index.memory.region == NULL) {
        return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
    }
    status = await_unshared(store);
    return status == KVSTORE_OK
               ? kv_store_catch_up_privately(store, true, is_done_out)
               : status;
}

/* True if no other process has had the lock since this handle last wrote: it
 * has held it all along, and keeps padding at the log's end. */
static bool knows_totals(const struct kvstore *store)
{
    return kv_log_is_padded(&store->log) &&
           store->index.totals.is_in_doubt == 0;
}

static kvstore_status follow_shared_locked(struct kvstore *store,
                                           bool must_check,
                                           bool *is_done_out)
{
    struct kv_store_names names;
    *is_done_out = false;
    if (atomic_load(&store->index.table.header->state) != KV_TABLE_LIVE) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_store_check_names(store, must_check, &names);
    if (status != KVSTORE_OK || !names.are_ours) {
        return status;
    }
    if (!names.were_checked && knows_totals(store)) {
        /* Lines appended by hand show when the names are checked. */
        *is_done_out = true;
        return KVSTORE_OK;
    }
    const struct kv_table_totals *totals = &store->index.totals;
    if (!kv_index_refresh(&store->index) || totals->is_in_doubt != 0) {
        return KVSTORE_OK;
    }
    if (!names.were_checked) {
        status = kv_io_end(&store->log.file, &names.log_size);
    }
    *is_done_out =
        status == KVSTORE_OK &&
        names.log_size == kv_log_size_at(&store->log, totals->applied);
    return status;
}

kvstore_status kv_store_follow_locked(struct kvstore *store,
                                      bool must_check,
                                      bool *is_whole_out)
{
    bool is_done = false;
    bool was_shared = store->index.is_shared;
    kvstore_status status =
        was_shared ? follow_shared_locked(store, must_check, &is_done)
                   : follow_private_locked(store, &is_done);
    *is_whole_out = was_shared && is_done;
    if (status == KVSTORE_OK && !is_done) {
        status = open_locked(store);
    }
    return status;
}

/* --- What comes after the lines of the pair --- */

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
    status = kv_mend_end(&store->log, &store->directory, size, &result);
    return status == KVSTORE_OK ? kv_store_sync(store, result.offset) : status;
}
