/* SPDX-License-Identifier: MIT */

/* Compaction: one fold of the old log against its index, in which the records
 * that are still the newest go to the new log; then, in rounds, all that the
 * old log has gained meanwhile.
 *
 * Invariants:
 * 1. The old log is not touched. Until the rename it is the store; from the
 *    rename on the new one is, with the same live data: the last round is
 *    copied under the writers' lock, which is held up to the rename.
 * 2. The new log is on the disk before the rename, and the directory after it
 *    before anything is acknowledged in the new log.
 * 3. store.log.compact is made anew by each compaction, which holds a lock on
 *    it. A leftover, which a process may still have open, is neither read nor
 *    written: it loses its name.
 * 4. A round is appended to the new log as it is in the old one, and then
 *    applied as with any log that has grown: by a fold of it.
 *
 * A crash leaves: before the rename the old log and a leftover; after it, and
 * before the directory is synced, the old log or the new one. */

#include "store/compaction.h"

#include "index/build.h"
#include "index/check.h"
#include "index/index.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/successor.h"
#include "os/error.h"
#include "os/file.h"
#include "os/system.h"
#include "store/compaction_copy.h"

/* What a compaction would take out. */
static uint64_t removable_bytes(const struct kv_table_counts *counts)
{
    return counts->damaged_records > 0 &&
                   counts->tombstone_bytes <= counts->stale_bytes
               ? counts->stale_bytes - counts->tombstone_bytes
               : counts->stale_bytes;
}

bool kv_compaction_is_due(const struct kv_table_counts *counts,
                          uint64_t log_size,
                          const struct kv_compaction_terms *terms)
{
    uint64_t removable = removable_bytes(counts);
    if (removable >= terms->threshold_bytes &&
        removable * 100 >= log_size * terms->threshold_percent) {
        return true;
    }
    return counts->expiring_bytes > 0 && terms->kept <= log_size / 2 &&
           log_size - 2 * terms->kept >= terms->threshold_bytes &&
           removable + counts->expiring_bytes >= log_size / 2;
}

/* --- The compaction --- */

kvstore_status kv_compaction_begin(struct kv_compaction *compaction)
{
    compaction->new_index = KV_INDEX_NONE;
    compaction->keeps_removes =
        compaction->index->totals.counts.damaged_records > 0;
    return kv_successor_create(
        compaction->directory, compaction->log, &compaction->new_log);
}

static kvstore_status prepare(struct kv_compaction *compaction)
{
    const struct kv_index *index = compaction->index;
    compaction->buffer = kv_io_allocate(KV_COMPACTION_BUFFER_SIZE);
    if (compaction->buffer == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kvstore_status status = kv_index_check_create(
        index, compaction->log, index->totals.applied, &compaction->check);
    if (status != KVSTORE_OK) {
        return status;
    }
    uint64_t key_count = compaction->keeps_removes ? index->totals.slots_used
                                                   : index->totals.counts.keys;
    status = kv_index_create_like(
        index, key_count, &compaction->new_log, &compaction->new_index);
    return status == KVSTORE_OK ? kv_compaction_begin_copy(compaction) : status;
}

/* Folds the old log from where the copy has got to, up to an end. What looks
 * torn may be a batch that is published record by record: the next round finds
 * it whole. */
static kvstore_status fold_up_to(struct kv_compaction *compaction,
                                 uint64_t end,
                                 const struct kv_progress *progress,
                                 kv_fold_visit visit)
{
    struct kv_fold_range range = {.offset = compaction->copied,
                                  .end = end,
                                  .follows = compaction->follows,
                                  .progress = progress};
    struct kv_fold_result result;
    compaction->end = end;
    kvstore_status status =
        kv_fold(compaction->log, range, visit, compaction, &result);
    compaction->copied = result.offset;
    compaction->follows = result.follows;
    return status;
}

static kvstore_status fail_changed(uint64_t offset)
{
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "%s was changed under a running program",
                      KV_LOG_NAME);
}

/* Fails unless the copy has met all that the index has, and no damage that the
 * index does not know of. A line that has rotted may be one that the index
 * leads to, and in whose favour an older one was left out. */
static kvstore_status check_copy(const struct kv_compaction *compaction)
{
    const struct kv_table_totals *old = &compaction->index->totals;
    const struct kv_table_totals *new = &compaction->new_index.totals;
    return compaction->copied == old->applied &&
                   new->counts.damaged_records == old->counts.damaged_records
               ? KVSTORE_OK
               : fail_changed(compaction->copied);
}

kvstore_status kv_compaction_copy(struct kv_compaction *compaction)
{
    kvstore_status status = prepare(compaction);
    if (status == KVSTORE_OK) {
        status = fold_up_to(compaction,
                            compaction->index->totals.applied,
                            compaction->progress,
                            kv_compaction_copy_item);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_flush(compaction);
    }
    if (status == KVSTORE_OK) {
        status = check_copy(compaction);
    }
    return status == KVSTORE_OK ? kv_compaction_finish_copy(compaction)
                                : status;
}

/* Fails unless the old log still ends where it was copied up to, or goes on
 * after that. Another process may have taken a rotted line for a torn one, and
 * cut it off. */
static kvstore_status check_source(const struct kv_compaction *compaction,
                                   uint64_t end)
{
    bool matches = true;
    kvstore_status status =
        kv_index_matches(&compaction->mark, compaction->log, &matches);
    return status == KVSTORE_OK && (!matches || end < compaction->copied)
               ? fail_changed(compaction->copied)
               : status;
}

kvstore_status kv_compaction_follow(struct kv_compaction *compaction,
                                    uint64_t end)
{
    bool is_whole = true;
    kvstore_status status = check_source(compaction, end);
    if (status == KVSTORE_OK) {
        status = fold_up_to(compaction, end, NULL, kv_compaction_follow_item);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_flush(compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_build_catch_up(&compaction->new_log,
                                   compaction->written,
                                   NULL,
                                   false,
                                   &compaction->new_index,
                                   &is_whole);
    }
    return status;
}

kvstore_status kv_compaction_sync(struct kv_compaction *compaction)
{
    if (compaction->synced == compaction->written && compaction->written > 0) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_io_sync(&compaction->new_log.file);
    if (status == KVSTORE_OK) {
        compaction->synced = compaction->written;
    }
    return status;
}

kvstore_status kv_compaction_check(const struct kv_compaction *compaction,
                                   const struct kv_table_totals *old)
{
    const struct kv_table_totals *made = &compaction->new_index.totals;
    return compaction->copied == old->applied &&
                   made->applied == compaction->written &&
                   !compaction->new_index.is_in_doubt
               ? KVSTORE_OK
               : fail_changed(compaction->copied);
}

void kv_compaction_release(struct kv_compaction *compaction)
{
    kv_error_hold();
    kv_io_free(compaction->buffer);
    kv_compaction_end_copy(compaction);
    kv_io_free(compaction->check);
    compaction->buffer = NULL;
    compaction->check = NULL;
    kv_successor_discard(compaction->directory, &compaction->new_log);
    kv_index_release(&compaction->new_index);
    kv_error_release();
}
