/* SPDX-License-Identifier: MIT */

/* Compaction: one fold of the old log against its index, from which the
 * records that are still the newest go to the new log; then, in rounds, all that
 * the old log has gained meanwhile.
 *
 * Invariants:
 * 1. The old log is not touched. Until the rename it is the store; from the
 *    rename on the new one is, with the same live data: the last round is
 *    copied under the writers' lock, which is held up to the rename.
 * 2. The new log is on the disk before the rename, and the directory after it
 *    before anything is acknowledged in the new log.
 * 3. store.log.compact belongs to whoever holds a lock on it. A leftover is
 *    emptied, never read.
 * 4. A round is appended to the new log as it stands in the old one, and then
 *    applied as any log is that has grown: by a fold of it.
 *
 * A crash leaves: before the rename the old log and a leftover; after it, and
 * before the directory is synced, the old log or the new one. */

#include "compaction.h"

#include "compaction_check.h"
#include "compaction_copy.h"
#include "compaction_marks.h"
#include "compaction_output.h"
#include "error.h"
#include "io_access.h"
#include "recovery.h"

#include <assert.h>
#include <errno.h>

bool kv_compaction_is_due(const struct kv_index_counts *counts,
                          uint64_t log_size,
                          uint64_t threshold_bytes,
                          uint32_t threshold_percent)
{
    assert(counts->stale_bytes >= counts->tombstone_bytes);
    uint64_t removable = counts->stale_bytes;
    if (counts->damaged_records > 0) {
        removable -= counts->tombstone_bytes;
    }
    return removable >= threshold_bytes &&
           removable * 100 >= log_size * threshold_percent;
}

/* --- The file --- */

/* Is store.log.compact still the file that we hold? */
static kvstore_status check_name(const struct kv_io_file *directory,
                                 const struct kv_io_file *file,
                                 struct kv_io_stat *stat_out)
{
    struct kv_io_stat named;
    kvstore_status status = kv_io_stat(file, stat_out);
    if (status == KVSTORE_OK) {
        status = kv_io_stat_name(directory, KV_LOG_COMPACT_NAME, &named);
    }
    if (status == KVSTORE_NOT_FOUND ||
        (status == KVSTORE_OK && (named.device != stat_out->device ||
                                  named.inode != stat_out->inode))) {
        status = kv_fail(KVSTORE_BUSY,
                         "%s was replaced by another program",
                         KV_LOG_COMPACT_NAME);
    }
    return status;
}

/* Opens the file, locks it, and sees that it has kept its name. */
static kvstore_status claim_file(const struct kv_io_file *directory,
                                 enum kv_io_open_mode mode,
                                 struct kv_io_file *file,
                                 struct kv_io_stat *stat_out)
{
    kvstore_status status =
        kv_io_open(directory, KV_LOG_COMPACT_NAME, mode, file);
    if (status == KVSTORE_OK) {
        status = kv_io_lock(file, 0, NULL);
    }
    return status == KVSTORE_OK ? check_name(directory, file, stat_out)
                                : status;
}

/* Is what bears the name none that a compaction can be writing? Not one with
 * another name: it may be the log, or that of a copy of the store by hard links.
 * Nor one that cannot be opened, though the log can: a symbolic link, or what a
 * process of another user left that died before it gave the file away, which it
 * does under the writers' lock. */
static bool is_in_the_way(kvstore_status status, const struct kv_io_stat *stat)
{
    int error = kvstore_last_error()->system_errno;
    return status == KVSTORE_OK
               ? stat->names != 1
               : status == KVSTORE_IO && (error == EACCES || error == ELOOP);
}

static kvstore_status claim_own_file(const struct kv_io_file *directory,
                                     struct kv_io_file *file,
                                     struct kv_io_stat *stat_out)
{
    kvstore_status status =
        claim_file(directory, KV_IO_WRITE_CREATE, file, stat_out);
    if (!is_in_the_way(status, stat_out)) {
        return status;
    }
    kvstore_error why = *kvstore_last_error();
    kv_io_close(file);
    if (kv_io_unlink(directory, KV_LOG_COMPACT_NAME) == KVSTORE_OK) {
        return claim_file(directory, KV_IO_CREATE_NEW, file, stat_out);
    }
    if (status != KVSTORE_OK) {
        kv_fail_again(&why); /* As where nothing may be created. */
    }
    return KVSTORE_IO;
}

kvstore_status kv_compaction_create_log(const struct kv_io_file *directory,
                                        const struct kv_log *log,
                                        struct kv_log *new_log)
{
    struct kv_io_stat own;
    *new_log = KV_LOG_NONE;
    kvstore_status status = claim_own_file(directory, &new_log->file, &own);
    if (status == KVSTORE_OK) {
        new_log->device = own.device;
        new_log->inode = own.inode;
        status = kv_io_truncate(&new_log->file, 0);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_adopt_place(&new_log->file, &log->file);
    }
    return status;
}

kvstore_status kv_compaction_rename(const struct kv_io_file *directory,
                                    struct kv_log *new_log)
{
    struct kv_io_stat own;
    kvstore_status status = check_name(directory, &new_log->file, &own);
    if (status == KVSTORE_OK) {
        status = kv_io_rename(directory, KV_LOG_COMPACT_NAME, KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        new_log->file.name = KV_LOG_NAME;
        kv_io_unlock(&new_log->file);
    }
    return status;
}

/* Gives the room back. A file that another program locks or has put there is
 * left to it. */
void kv_compaction_discard(const struct kv_io_file *directory,
                           struct kv_log *new_log)
{
    kvstore_error reason = *kvstore_last_error();
    struct kv_io_stat own;
    bool is_ours = new_log->inode != 0 &&
                   check_name(directory, &new_log->file, &own) == KVSTORE_OK;
    if (is_ours) {
        (void)kv_io_unlink(directory, KV_LOG_COMPACT_NAME);
    }
    kv_log_close(new_log);
    kv_fail_again(&reason);
}

/* --- The compaction --- */

kvstore_status kv_compaction_begin(struct kv_compaction *compaction)
{
    compaction->new_keydir = KV_KEYDIR_NONE;
    compaction->keeps_removes =
        compaction->keydir->totals.counts.damaged_records > 0;
    return kv_compaction_create_log(
        compaction->directory, compaction->log, &compaction->new_log);
}

static kvstore_status prepare(struct kv_compaction *compaction)
{
    const struct kv_keydir *keydir = compaction->keydir;
    compaction->buffer = kv_io_allocate(KV_COMPACTION_BUFFER_SIZE);
    compaction->queue = kv_compaction_queue_create();
    compaction->marks =
        kv_compaction_marks_create(&keydir->index, keydir->totals.applied);
    if (compaction->buffer == NULL || compaction->queue == NULL ||
        compaction->marks == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    uint64_t key_count = compaction->keeps_removes ? keydir->totals.slots_used
                                                   : keydir->totals.counts.keys;
    return kv_keydir_create_like(
        keydir, key_count, &compaction->new_log, &compaction->new_keydir);
}

/* Folds the old log from where the new one has it up to an end. What looks torn
 * may be a batch that is published record by record: the next round has it
 * whole. */
static kvstore_status fold_up_to(struct kv_compaction *compaction,
                                 uint64_t end,
                                 const struct kv_progress *progress,
                                 kv_fold_visit visit)
{
    struct kv_fold_range range = {.offset = compaction->copied,
                                  .end = end,
                                  .follows_damage = compaction->follows_damage,
                                  .progress = progress};
    struct kv_fold_result result;
    compaction->end = end;
    kvstore_status status =
        kv_fold(compaction->log, range, visit, compaction, &result);
    compaction->copied = result.offset;
    compaction->follows_damage = result.follows_damage;
    if (status == KVSTORE_OK && compaction->mark.totals.last.length != 0) {
        status = kv_keydir_note_last(
            &compaction->mark, compaction->log, compaction->mark.totals.last);
    }
    return status;
}

static kvstore_status fail_changed(uint64_t offset)
{
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "%s was changed under a running program",
                      KV_LOG_NAME);
}

/* Has the copy met all that the index has, and no damage that it does not know
 * of? A line that has rotted may be one that the index leads to, and in whose
 * favour an older one was left out. */
static kvstore_status check_copy(const struct kv_compaction *compaction)
{
    const struct kv_index_totals *old = &compaction->keydir->totals;
    const struct kv_index_totals *new = &compaction->new_keydir.totals;
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
                            compaction->keydir->totals.applied,
                            compaction->progress,
                            kv_compaction_copy_item);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_empty_queue(compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_flush(compaction);
    }
    if (status == KVSTORE_OK) {
        status = check_copy(compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_check_index(compaction);
    }
    if (status == KVSTORE_OK && compaction->last.length != 0) {
        status = kv_keydir_note_last(
            &compaction->new_keydir, &compaction->new_log, compaction->last);
    }
    return status;
}

/* Does the old log still end where it was copied up to, or go on behind? Another
 * process may have taken a line that had rotted for torn, and have cut it off. */
static kvstore_status check_source(const struct kv_compaction *compaction,
                                   uint64_t end)
{
    bool matches = true;
    kvstore_status status =
        kv_keydir_matches(&compaction->mark, compaction->log, &matches);
    return status == KVSTORE_OK && (!matches || end < compaction->copied)
               ? fail_changed(compaction->copied)
               : status;
}

kvstore_status kv_compaction_follow(struct kv_compaction *compaction,
                                    uint64_t end)
{
    struct kv_fold_result result;
    kvstore_status status = check_source(compaction, end);
    if (status == KVSTORE_OK) {
        status = fold_up_to(compaction, end, NULL, kv_compaction_follow_item);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_flush(compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_recovery_catch_up(&compaction->new_log,
                                      compaction->written,
                                      NULL,
                                      &compaction->new_keydir,
                                      &result);
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
                                   const struct kv_index_totals *old)
{
    const struct kv_index_totals *made = &compaction->new_keydir.totals;
    return compaction->copied == old->applied &&
                   made->applied == compaction->written
               ? KVSTORE_OK
               : fail_changed(compaction->copied);
}

void kv_compaction_release(struct kv_compaction *compaction)
{
    kvstore_error reason = *kvstore_last_error();
    kv_io_free(compaction->buffer);
    kv_io_free(compaction->queue);
    kv_io_free(compaction->marks);
    compaction->buffer = NULL;
    compaction->queue = NULL;
    compaction->marks = NULL;
    kv_compaction_discard(compaction->directory, &compaction->new_log);
    kv_keydir_release(&compaction->new_keydir);
    kv_fail_again(&reason);
}
