/* SPDX-License-Identifier: MIT */

/* The shared index, under the writers' lock. Where none can be shared, the store
 * takes no writes, and is read, or rewritten as a whole, by a private one. */

#include "store/shared.h"

#include "index/apply.h"
#include "index/build.h"
#include "index/file.h"
#include "index/grow.h"
#include "index/index.h"
#include "index/table.h"
#include "index/trust.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/error.h"
#include "os/file.h"
#include "os/system.h"
#include "store/pair.h"
#include "store/private.h"
#include "store/room.h"
#include "store/switch.h"
#include "store/sync.h"

#include <assert.h>

/* --- Under the writers' lock --- */

/* Replaces the pair's index by one that has all of it, and is larger or was
 * built anew. If a sync fails on the way, the new index says so. */
static kvstore_status switch_index(struct kvstore *store,
                                   const struct kv_log *log,
                                   struct kv_table *old_table,
                                   struct kv_index *index)
{
    struct kv_log new_log = *log;
    struct kv_switch change = {.directory = &store->directory,
                               .old_table = old_table,
                               .is_store_new = store->has_made_log,
                               .poisoned_inode =
                                   atomic_load(&store->poisoned_inode),
                               .log = &new_log,
                               .index = index};
    kv_error_hold();
    (void)kv_switch_run(&change);
    return kv_error_release_after(
        change.is_index_in_place ? KVSTORE_OK : kvstore_last_error()->status);
}

kvstore_status kv_store_grow(struct kvstore *store, uint64_t more_keys)
{
    struct kv_index larger;
    assert(store->index.is_shared);
    kv_index_file_sweep(&store->directory);
    kvstore_status status =
        kv_index_create_larger(&store->index, more_keys, &store->log, &larger);
    if (status != KVSTORE_OK && kv_store_makes_room(store)) {
        status = kv_index_create_larger(
            &store->index, more_keys, &store->log, &larger);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    status =
        switch_index(store, &store->log, kv_store_told_table(store), &larger);
    if (status != KVSTORE_OK) {
        kv_index_release(&larger);
        return status;
    }
    kv_store_install(store, &store->log, &larger);
    return KVSTORE_OK;
}

/* Folds what the log has up to a size after the lines of a shared index; one
 * that cannot grow since its slots crowd is in doubt. */
static kvstore_status fold_more(struct kvstore *store, uint64_t size)
{
    uint64_t more_keys = 0;
    bool is_whole = false;
    kvstore_status status =
        kv_build_count_more(&store->log, size, &store->index, &more_keys);
    if (status == KVSTORE_OK && !kv_index_has_room(&store->index, more_keys)) {
        status = kv_store_grow(store, more_keys);
        atomic_store(&store->index.table.header->holder_folds, 1);
    }
    if (status == KVSTORE_CORRUPT) {
        store->index.is_in_doubt = true;
        return KVSTORE_OK;
    }
    if (status == KVSTORE_OK && kv_store_is_poisoned(store)) {
        return KVSTORE_OK;
    }
    return status == KVSTORE_OK ? kv_build_catch_up(&store->log,
                                                    size,
                                                    kv_store_progress(store),
                                                    false,
                                                    &store->index,
                                                    &is_whole)
                                : status;
}

/* Folds what the log has after the lines of a shared index (Invariant 3 of
 * pair.c). */
static kvstore_status catch_up_shared(struct kvstore *store)
{
    uint64_t size = 0;
    bool has_lines = false;
    if (store->index.is_in_doubt) {
        return KVSTORE_OK; /* It is built anew. */
    }
    uint64_t applied = store->index.totals.applied;
    kvstore_status status = kv_io_end(&store->log.file, &size);
    if (status == KVSTORE_OK && applied < size) {
        status = kv_log_has_more(&store->log, applied, size, &has_lines);
    }
    if (status != KVSTORE_OK || kv_store_is_poisoned(store) || !has_lines) {
        return status;
    }
    /* If this fails, the next writer must not find the log at rest, and write
     * over those lines. */
    kv_table_set_writing(&store->index.table, KV_TABLE_APPENDING);
    atomic_store(&store->index.table.header->holder_folds, 1);
    if (store->is_durable) {
        status = kv_store_sync(store, 0);
    }
    if (status == KVSTORE_OK) {
        status = fold_more(store, size);
    }
    atomic_store(&store->index.table.header->holder_folds, 0);
    return status;
}

/* What a new index shows must be on the disk before anything is acknowledged
 * after it. If that has failed, the index says so. */
static kvstore_status sync_before_build(struct kvstore *store,
                                        const struct kv_log *log)
{
    if (atomic_load(&store->poisoned_inode) == log->inode) {
        return KVSTORE_OK; /* It has failed before. */
    }
    kv_error_hold();
    kvstore_status status = kv_io_sync_data(&log->file);
    if (status != KVSTORE_OK && !kv_io_was_unavailable()) {
        atomic_store(&store->poisoned_inode, log->inode);
        status = KVSTORE_OK;
    }
    return kv_error_release_after(status);
}

/* Builds an index to be shared; of the pair, only the log is open. */
static kvstore_status build_shared(struct kvstore *store,
                                   struct kv_table *old_table,
                                   struct kv_pair *pair)
{
    uint64_t size = 0;
    struct kv_fold_result result;
    kv_index_file_sweep(&store->directory);
    kvstore_status status = kv_io_end(&pair->log.file, &size);
    if (status == KVSTORE_OK && store->is_durable && size > 0) {
        status = sync_before_build(store, &pair->log);
    }
    if (status == KVSTORE_OK) {
        status = kv_build_index(&pair->log,
                                size,
                                kv_store_progress(store),
                                &store->directory,
                                &pair->index,
                                &result);
    }
    if (status == KVSTORE_OK) {
        status = switch_index(store, &pair->log, old_table, &pair->index);
    }
    if (status != KVSTORE_OK) {
        kv_index_release(&pair->index);
    }
    return status;
}

/* Goes on with an index for this process alone. Others may still be using an
 * index that has lost its name, and not yet see what a fold of the log finds;
 * and if the log is rewritten, those who have the named one mapped would not
 * learn of it. */
static kvstore_status go_alone(struct kvstore *store, enum kv_store_alone alone)
{
    if (alone == KV_ALONE_TO_REWRITE) {
        kv_index_file_unname(&store->directory);
    }
    kv_io_sleep_ns(KV_GRACE_NS);
    return kv_store_load_privately(store, true);
}

/* Builds the index of the log by name. */
static kvstore_status build_locked(struct kvstore *store,
                                   enum kv_store_alone alone,
                                   struct kv_table *old_table)
{
    struct kv_pair pair = {.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    kv_log_trim(&store->log); /* No other handle knows of that padding. */
    kvstore_status status = kv_store_open_log(store, &pair.log);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = build_shared(store, old_table, &pair);
    if (status != KVSTORE_OK && kv_store_makes_room(store)) {
        status = build_shared(store, old_table, &pair);
    }
    if (status == KVSTORE_OK) {
        kv_store_install(store, &pair.log, &pair.index);
        return KVSTORE_OK;
    }
    kv_log_close(&pair.log);
    return alone != KV_ALONE_NEVER && status == KVSTORE_IO &&
                   kv_index_file_is_refused()
               ? go_alone(store, alone)
               : status;
}

static kvstore_status replace_index(struct kvstore *store,
                                    enum kv_store_alone alone)
{
    struct kv_table *named = kv_store_told_table(store);
    if (named == NULL) {
        return build_locked(store, alone, NULL);
    }
    /* The old mapping stays until its state has been set. */
    struct kv_table old_table = *named;
    return build_locked(store, alone, &old_table);
}

void kv_store_note_rebuild(struct kvstore *store)
{
    kv_warnings_note(&store->warnings,
                     "the index was not true to %s and has been built anew: "
                     "was the log changed in place?",
                     KV_LOG_NAME);
}

kvstore_status kv_store_rebuild_locked(struct kvstore *store,
                                       enum kv_store_alone alone)
{
    kvstore_status status = replace_index(store, alone);
    if (status == KVSTORE_OK) {
        kv_store_note_rebuild(store);
    }
    return status;
}

static bool names_poison(const struct kv_pair *pair)
{
    return atomic_load(&pair->index.table.header->poisoned_inode) ==
           pair->log.inode;
}

/* True if poison is not only of an earlier boot: that is taken back by who vouches
 * for the index, and others may have done so, and acknowledged lines since. A handle
 * that is told no boot knows only that others hold the index. */
static bool is_poison_in_force(const struct kv_pair *pair,
                               enum kv_index_file_trust trust,
                               uint64_t boot_id)
{
    return trust == KV_INDEX_FILE_UNSETTLED ||
           (boot_id == 0
                ? kv_index_file_is_held(&pair->index.memory)
                : kv_index_file_is_of_boot(&pair->index.table, boot_id));
}

/* True if this handle tells nobody of an index that others may go by: it takes it
 * from nobody, and folds the lines past it under the lock. */
static bool leaves_to_others(const struct kvstore *store,
                             const struct kv_pair *pair)
{
    return atomic_load(&pair->index.table.header->state) == KV_TABLE_LIVE &&
           kv_pair_is_checked_alone(store, pair);
}

/* Finds out whether an index that others do not go by yet lacks lines that may
 * have been acknowledged: it may be of an earlier moment, as a power cut leaves
 * it, or they came by way of one that had lost its name. If they were taken along
 * after others go by it, and this process died in between, these would leave them
 * alone. Nobody folds a poisoned log. */
static kvstore_status lacks_lines(const struct kvstore *store,
                                  const struct kv_pair *pair,
                                  enum kv_index_file_trust trust,
                                  bool *lacks_lines_out)
{
    uint64_t size = 0;
    bool is_unchecked = trust == KV_INDEX_FILE_UNCHECKED;
    *lacks_lines_out = false;
    if ((!is_unchecked && trust != KV_INDEX_FILE_UNSETTLED) ||
        kv_table_writing(&pair->index.table) == KV_TABLE_PUBLISHING) {
        return KVSTORE_OK;
    }
    if (names_poison(pair) ? is_poison_in_force(pair, trust, store->boot_id)
                           : is_unchecked && leaves_to_others(store, pair)) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_io_end(&pair->log.file, &size);
    return status == KVSTORE_OK
               ? kv_build_has_lines(
                     &pair->log, size, &pair->index, lacks_lines_out)
               : status;
}

/* Opens the pair by name, checks its index if need be, and completes a switch
 * whose process died. If the index cannot be trusted in the end, there is no
 * pair. */
static kvstore_status open_settled(struct kvstore *store,
                                   struct kv_pair *pair,
                                   enum kv_index_file_trust *trust_out)
{
    bool has_more = false;
    bool is_short = false;
    int64_t looked_ns = kv_io_clock_coarse_ns();
    kv_log_trim(&store->log);
    kvstore_status status = kv_pair_open(store, pair, trust_out, &has_more);
    if (status == KVSTORE_OK && has_more) {
        status = lacks_lines(store, pair, *trust_out, &is_short);
    }
    if (is_short) {
        *trust_out = KV_INDEX_FILE_UNTRUSTED;
    }
    if (status == KVSTORE_OK && *trust_out == KV_INDEX_FILE_UNCHECKED &&
        kv_table_writing(&pair->index.table) != KV_TABLE_PUBLISHING) {
        status = kv_pair_check(store, pair, trust_out);
    }
    if (status == KVSTORE_OK && *trust_out == KV_INDEX_FILE_UNSETTLED) {
        status = kv_switch_complete(
            &store->directory, &pair->log, &pair->index.table);
    }
    if (status == KVSTORE_OK && *trust_out > KV_INDEX_FILE_UNCHECKED) {
        *trust_out = KV_INDEX_FILE_TRUSTED;
        atomic_store(&store->checked_ns, looked_ns);
    } else {
        kv_pair_close(pair);
    }
    return status;
}

/* The index by name may be true, but this process cannot use it. It stays, for
 * the others. */
static kvstore_status go_beside(struct kvstore *store,
                                enum kv_store_alone alone)
{
    return alone == KV_ALONE_TO_READ ? kv_store_load_privately(store, true)
                                     : kvstore_last_error()->status;
}

/* The lines past an index could not be taken along, and a handle that is told no
 * boot does not know whether they were acknowledged: it goes by an index that has
 * them. */
static kvstore_status leave_index(struct kvstore *store,
                                  enum kv_store_alone alone,
                                  kvstore_status status)
{
    bool is_poisoned = kv_store_is_poisoned(store);
    if (is_poisoned && kv_index_file_is_held(&store->index.memory)) {
        return status; /* They were not. */
    }
    if (alone == KV_ALONE_TO_REWRITE && !is_poisoned &&
        kv_index_file_is_refused()) {
        return go_alone(store, alone);
    }
    kv_error_hold();
    kvstore_status load_status = kv_store_load_privately(store, true);
    kv_error_release();
    return alone == KV_ALONE_TO_READ && load_status == KVSTORE_OK ? KVSTORE_OK
                                                                  : status;
}

/* Goes on with the pair by name, or with an index that is built for its log. */
static kvstore_status open_locked(struct kvstore *store,
                                  enum kv_store_alone alone)
{
    struct kv_pair pair;
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    kvstore_status status = open_settled(store, &pair, &trust);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (trust == KV_INDEX_FILE_UNUSABLE) {
        return go_beside(store, alone);
    }
    if (trust != KV_INDEX_FILE_TRUSTED) {
        return build_locked(store, alone, NULL);
    }
    kv_store_install(store, &pair.log, &pair.index);
    /* One whose writer died is no news. */
    bool was_cut_off =
        !kv_index_refresh(&store->index) &&
        kv_table_writing(&store->index.table) == KV_TABLE_PUBLISHING;
    status = catch_up_shared(store);
    if (status == KVSTORE_OK && store->index.is_in_doubt) {
        return was_cut_off ? replace_index(store, alone)
                           : kv_store_rebuild_locked(store, alone);
    }
    if (status != KVSTORE_OK && store->boot_id == 0) {
        return leave_index(store, alone, status);
    }
    if (kv_store_is_poisoned(store) || status != KVSTORE_IO ||
        !kv_index_file_is_refused()) {
        return status;
    }
    /* There is no room for a larger index. */
    if (alone == KV_ALONE_TO_READ) {
        return KVSTORE_OK; /* Nobody sees those lines, as nobody writes. */
    }
    return alone == KV_ALONE_TO_REWRITE ? go_alone(store, alone) : status;
}

/* True if no other process has had the lock since this handle last wrote: it
 * has held it all along, and keeps padding at the log's end. */
static bool knows_totals(const struct kvstore *store)
{
    return kv_log_is_padded(&store->log) && !store->index.is_in_doubt;
}

/* Checks the names, and the log's size, if that is due for a write: reads check
 * the names, too, and ignore what has been appended. */
static kvstore_status look_again(struct kvstore *store,
                                 bool must_check,
                                 struct kv_store_names *names_out)
{
    int64_t now_ns = kv_io_clock_coarse_ns();
    *names_out = (struct kv_store_names){.are_ours = true};
    if (!must_check && now_ns - store->looked_ns < KV_NAME_CHECK_NS) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_store_check_names(store, true, names_out);
    store->looked_ns =
        status == KVSTORE_OK && names_out->are_ours ? now_ns : KV_NEVER_NS;
    return status;
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
    kvstore_status status = look_again(store, must_check, &names);
    if (status != KVSTORE_OK || !names.are_ours) {
        return status;
    }
    if (!names.were_checked && knows_totals(store)) {
        /* Lines appended by hand show when the names are checked. */
        *is_done_out = true;
        return KVSTORE_OK;
    }
    if (!kv_index_refresh(&store->index)) {
        return KVSTORE_OK;
    }
    bool is_at_rest = kv_table_writing(&store->index.table) == KV_TABLE_AT_REST;
    if (is_at_rest && !names.were_checked) {
        *is_done_out = true;
        return KVSTORE_OK;
    }
    if (!names.were_checked) {
        status = kv_io_end(&store->log.file, &names.log_size);
    }
    uint64_t applied = store->index.totals.applied;
    *is_done_out = status == KVSTORE_OK &&
                   names.log_size == kv_log_size_at(&store->log, applied);
    if (*is_done_out && !is_at_rest && names.log_size == applied) {
        kv_table_set_writing(&store->index.table, KV_TABLE_AT_REST);
    }
    return status;
}

kvstore_status kv_store_follow_locked(struct kvstore *store,
                                      enum kv_store_alone alone,
                                      bool must_check,
                                      bool *is_whole_out)
{
    *is_whole_out = false;
    kvstore_status status =
        store->index.is_shared
            ? follow_shared_locked(store, must_check, is_whole_out)
            : KVSTORE_OK;
    return status == KVSTORE_OK && !*is_whole_out ? open_locked(store, alone)
                                                  : status;
}
