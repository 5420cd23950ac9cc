/* SPDX-License-Identifier: MIT */

/* Backup: a snapshot's live records, copied to a new store.
 *
 * Invariants:
 * 1. Nothing is locked but the new directory. What the index of the old store
 *    says is not asked: a first fold finds each key's newest record, a second one
 *    copies these, and what compaction would carry along, by its code.
 * 2. Until all of it is on the disk, the new log has the name of a log that a
 *    compaction is writing, which is never read. So what a failure or a crash
 *    leaves is no store. */

#include "index/file.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/successor.h"
#include "os/cancel.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/system.h"
#include "store/compaction.h"
#include "store/compaction_copy.h"
#include "store/compaction_output.h"
#include "store/handle.h"
#include "store/note.h"
#include "store/note_sort.h"
#include "store/selection.h"
#include "store/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>

struct backup {
    const kvstore *store;
    struct kv_io_file directory; /* The new store's. */
    struct kv_snapshot snapshot;
    struct kv_selection selection;   /* Its notes are in the log's order. */
    size_t next;                     /* Notes before this have been met, */
    size_t met;                      /* so many of them in the log. */
    struct kv_compaction compaction; /* Only what the copy needs. */
};

/* --- The new directory --- */

static kvstore_status check_is_free(const struct kv_io_file *directory)
{
    static const char *const names[] = {
        KV_LOG_NAME, KV_INDEX_NAME, KV_LOG_COMPACT_NAME};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct kv_io_stat stat;
        kvstore_status status = kv_io_stat_name(directory, names[i], &stat);
        if (status == KVSTORE_OK) {
            return kv_fail_errno(KVSTORE_IO,
                                 EEXIST,
                                 "the directory of the backup has a %s",
                                 names[i]);
        }
        if (status != KVSTORE_NOT_FOUND) {
            return status;
        }
    }
    return KVSTORE_OK;
}

/* Opens the directory, locks it, and checks that no store is there: before the
 * lock, too, which a store that is open may hold for long. */
static kvstore_status claim_directory(struct backup *backup, const char *dir)
{
    bool is_remote = false;
    kvstore_status status = kv_io_make_directories(dir);
    if (status == KVSTORE_OK) {
        status = kv_io_open_directory(dir, &backup->directory);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_is_remote(&backup->directory, &is_remote);
    }
    if (status == KVSTORE_OK && is_remote) {
        status = kv_fail(KVSTORE_UNSUPPORTED,
                         "network file systems are not supported");
    }
    if (status == KVSTORE_OK) {
        status = check_is_free(&backup->directory);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_lock(
            &backup->directory, backup->store->lock_timeout_ms, NULL);
    }
    return status == KVSTORE_OK ? check_is_free(&backup->directory) : status;
}

/* --- The copy --- */

/* Finds the newest record of each key. */
static kvstore_status select_records(struct backup *backup)
{
    struct kv_selection *selection = &backup->selection;
    struct kv_snapshot *snapshot = &backup->snapshot;
    kvstore_status status =
        kv_store_open_snapshot(kv_store_own(backup->store), false, snapshot);
    if (status != KVSTORE_OK) {
        return status;
    }
    selection->log = &snapshot->log;
    selection->end = snapshot->end;
    selection->may_map = snapshot->may_map;
    selection->key_count = snapshot->key_count;
    selection->progress = &backup->store->progress;
    selection->is_of_records = true;
    status = kv_selection_make(selection);
    if (status == KVSTORE_OK && selection->folded != selection->end) {
        status = kv_note_fail_changed(selection->folded);
    }
    return status;
}

/* Brings the notes into the order of the log. */
static void sort_by_place(struct kv_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        struct kv_note *note = &notes->notes[i];
        note->head[0] = kv_note_offset(note);
        note->head[1] = 0;
    }
    kv_note_sort(notes->notes, notes->count);
}

/* True if a record is the newest of its key, and stays: while there is damage,
 * Removes and what has expired do, too. */
static bool is_newest(struct backup *backup, uint64_t offset)
{
    const struct kv_notes *notes = &backup->selection.notes;
    while (backup->next < notes->count &&
           kv_note_offset(&notes->notes[backup->next]) < offset) {
        backup->next++;
    }
    const struct kv_note *note =
        backup->next < notes->count ? &notes->notes[backup->next] : NULL;
    if (note == NULL || kv_note_offset(note) != offset) {
        return false;
    }
    backup->met++;
    return backup->selection.has_damage || kv_note_kind(note) != KV_NOTE_GONE;
}

/* What a record of a newer version means to the others is not known. */
static kvstore_status refuse_to_copy(const struct kv_fold_item *item)
{
    return kv_fail_at(KVSTORE_UNSUPPORTED,
                      item->pointer.offset,
                      "the record at offset %" PRIu64
                      " was written by a newer version, which can copy it",
                      item->pointer.offset);
}

static kvstore_status copy_item(void *context, const struct kv_fold_item *item)
{
    struct backup *backup = context;
    if (item->type == KV_RECORD_UNKNOWN) {
        return refuse_to_copy(item);
    }
    bool is_record =
        item->type == KV_RECORD_SET || item->type == KV_RECORD_REMOVE;
    bool stays = !is_record || !kv_index_is_reachable(item) ||
                 is_newest(backup, item->pointer.offset);
    return stays ? kv_compaction_follow_item(&backup->compaction, item)
                 : KVSTORE_OK;
}

static kvstore_status copy_records(struct backup *backup)
{
    struct kv_fold_range range = {.end = backup->snapshot.end,
                                  .progress = &backup->store->progress};
    struct kv_fold_result result;
    sort_by_place(&backup->selection.notes);
    kvstore_status status =
        kv_fold(&backup->snapshot.log, range, copy_item, backup, &result);
    if (status == KVSTORE_OK &&
        (result.offset != range.end ||
         backup->met != backup->selection.notes.count)) {
        status = kv_note_fail_changed(result.offset);
    }
    return status == KVSTORE_OK ? kv_compaction_flush(&backup->compaction)
                                : status;
}

/* Creates the new log under the name that is never read. */
static kvstore_status create_new_log(struct backup *backup)
{
    struct kv_compaction *compaction = &backup->compaction;
    compaction->directory = &backup->directory;
    compaction->log = &backup->snapshot.log;
    compaction->buffer = kv_io_allocate(KV_COMPACTION_BUFFER_SIZE);
    return compaction->buffer == NULL
               ? KVSTORE_NO_MEMORY
               : kv_successor_create(
                     &backup->directory, NULL, &compaction->new_log);
}

/* Takes the name away from the new log, if it has it: a call that fails may have
 * done its work. */
static void take_name_away(struct backup *backup)
{
    const struct kv_log *log = &backup->compaction.new_log;
    struct kv_io_stat named;
    kv_error_hold();
    if (kv_io_stat_name(&backup->directory, KV_LOG_NAME, &named) ==
            KVSTORE_OK &&
        named.device == log->device && named.inode == log->inode) {
        (void)kv_io_unlink(&backup->directory, KV_LOG_NAME);
    }
    kv_error_release();
}

/* Gives the new log its name, which makes it a store. */
static kvstore_status name_log(struct backup *backup)
{
    kvstore_status status = kv_compaction_sync(&backup->compaction);
    if (status != KVSTORE_OK) {
        return status;
    }
    status =
        kv_successor_rename(&backup->directory, &backup->compaction.new_log);
    if (status == KVSTORE_OK) {
        status = kv_io_sync(&backup->directory);
    }
    if (status != KVSTORE_OK) {
        take_name_away(backup);
    }
    return status;
}

static kvstore_status back_up(struct backup *backup, const char *dir)
{
    kvstore_status status = claim_directory(backup, dir);
    if (status == KVSTORE_OK) {
        status = select_records(backup);
    }
    if (status == KVSTORE_OK) {
        status = create_new_log(backup);
    }
    if (status == KVSTORE_OK) {
        status = copy_records(backup);
    }
    return status == KVSTORE_OK ? name_log(backup) : status;
}

static void release_backup(struct backup *backup)
{
    kv_compaction_release(&backup->compaction);
    kv_selection_release(&backup->selection);
    kv_snapshot_close(&backup->snapshot);
    if (backup->directory.fd >= 0) {
        kv_io_unlock(&backup->directory);
    }
    kv_io_close(&backup->directory);
}

kvstore_status kvstore_backup(const kvstore *store, const char *dir)
{
    if (store == NULL || dir == NULL || dir[0] == '\0') {
        return kv_fail(KVSTORE_INVALID, "no handle or no directory is given");
    }
    kvstore_status status = kv_store_check_process(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct backup backup = {
        .store = store,
        .directory = KV_IO_FILE_NONE,
        .snapshot = {.log = KV_LOG_NONE, .index = KV_INDEX_NONE},
        .compaction = {.new_log = KV_LOG_NONE, .new_index = KV_INDEX_NONE}};
    int cancel = kv_cancel_hold();
    kv_error_hold();
    status = back_up(&backup, dir);
    release_backup(&backup);
    /* Looking for the names of a store has set errors, perhaps. */
    status = kv_error_release_after(status);
    kv_store_tell_warnings(store);
    kv_cancel_release(cancel);
    return status;
}
