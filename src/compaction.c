/* SPDX-License-Identifier: MIT */

/* Compaction: one fold of the old log against its index, from which the
 * records that are still the newest go to the new log.
 *
 * Invariants:
 * 1. The old log is not touched. Until the rename it is the store; from the
 *    rename on the new one is, with the same live data.
 * 2. The new log is on the disk before the rename, and the directory after it
 *    before anything is acknowledged in the new log.
 * 3. store.log.compact belongs to whoever holds a lock on it. A leftover is
 *    emptied, never read.
 * 4. What is kept is kept in order and byte for byte, but that records of a
 *    batch lose that member. Damage is kept. While there is damage, so are the
 *    newest Removes: the damaged line may be the one that they removed.
 * 5. The index is not believed: a record whose key has no slot, or an older
 *    one, ends the compaction.
 *
 * A crash leaves: before the rename the old log and a leftover; after it, and
 * before the directory is synced, the old log or the new one. */

#include "compaction.h"

#include "bounds.h"
#include "error.h"
#include "fold.h"

#include <assert.h>
#include <string.h>

#define BUFFER_SIZE ((size_t)1 << 20)

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

/* --- The copy --- */

struct copy {
    const struct kv_log *log;
    const struct kv_keydir *keydir;
    const struct kv_progress *progress;
    struct kv_log new_log;
    struct kv_keydir new_keydir;
    char *buffer;
    size_t buffered;
    uint64_t written; /* Bytes of the new log that are in the file. */
};

static kvstore_status flush(struct copy *copy)
{
    kvstore_status status = kv_io_write(
        &copy->new_log.file, copy->written, copy->buffer, copy->buffered);
    if (status == KVSTORE_OK) {
        copy->written += copy->buffered;
        copy->buffered = 0;
    }
    return status;
}

static kvstore_status put_bytes(struct copy *copy,
                                const char *bytes,
                                size_t size)
{
    if (copy->buffered + size > BUFFER_SIZE) {
        kvstore_status status = flush(copy);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    if (size <= BUFFER_SIZE) {
        memcpy(copy->buffer + copy->buffered, bytes, size);
        copy->buffered += size;
        return KVSTORE_OK;
    }
    kvstore_status status =
        kv_io_write(&copy->new_log.file, copy->written, bytes, size);
    copy->written += status == KVSTORE_OK ? size : 0;
    return status;
}

/* Copies a stretch of the old log that is not in memory as a whole. */
static kvstore_status copy_stretch(struct copy *copy,
                                   struct kv_log_pointer pointer)
{
    char part[4096];
    uint64_t done = 0;
    while (done < pointer.length) {
        uint64_t left = pointer.length - done;
        size_t size = left < sizeof part ? (size_t)left : sizeof part;
        size_t got = 0;
        kvstore_status status = kv_io_read(
            &copy->log->file, pointer.offset + done, part, size, &got);
        if (status != KVSTORE_OK) {
            return status;
        }
        if (got == 0) {
            return kv_fail_at(KVSTORE_IO,
                              pointer.offset + done,
                              "%s was cut short",
                              KV_LOG_NAME);
        }
        status = put_bytes(copy, part, got);
        if (status != KVSTORE_OK) {
            return status;
        }
        done += got;
    }
    return KVSTORE_OK;
}

/* A line and the newline behind it, if it has one: a run of NULs may not. */
static kvstore_status copy_line(struct copy *copy,
                                const struct kv_fold_item *item)
{
    if (item->bytes == NULL) {
        return copy_stretch(copy, item->pointer);
    }
    kvstore_status status = put_bytes(copy, item->bytes, item->size);
    if (status == KVSTORE_OK && item->pointer.length > item->size) {
        status = put_bytes(copy, "\n", 1);
    }
    return status;
}

/* Encodes the record of a batch anew, without that member. The caller frees
 * the line, which has line_size_out bytes, its newline counted. */
static char *encode_without_batch(const struct kv_command *command,
                                  size_t *line_size_out)
{
    size_t key_size = command->key.size;
    bool is_set = command->type == KV_COMMAND_SET;
    size_t value_size = is_set ? command->value.size : 0;
    char *key = kv_io_allocate(key_size + value_size + 1);
    if (key == NULL) {
        return NULL;
    }
    char *value = key + key_size;
    kv_text_decode(&command->key, key);
    if (is_set) {
        kv_text_decode(&command->value, value);
    }
    struct kv_command_plan plan =
        is_set ? kv_command_plan_set(key, key_size, value, value_size)
               : kv_command_plan_remove(key, key_size);
    char *line = kv_io_allocate(plan.line_size);
    if (line != NULL) {
        kv_command_encode(&plan, line);
        *line_size_out = plan.line_size;
    }
    kv_io_free(key);
    return line;
}

/* Copies an item and gives it its slot in the new index. */
static kvstore_status keep_item(struct copy *copy,
                                const struct kv_fold_item *item)
{
    struct kv_fold_item moved = *item;
    moved.pointer.offset = copy->written + copy->buffered;
    kvstore_status status = copy_line(copy, item);
    if (status != KVSTORE_OK) {
        return status;
    }
    assert(copy->written + copy->buffered ==
           moved.pointer.offset + moved.pointer.length);
    return kv_keydir_apply_new(&copy->new_keydir, &moved);
}

static kvstore_status keep_without_batch(struct copy *copy,
                                         const struct kv_fold_item *item)
{
    size_t line_size = 0;
    char *line = encode_without_batch(item->command, &line_size);
    if (line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    struct kv_fold_item rewritten = *item;
    rewritten.bytes = line;
    rewritten.size = line_size - 1;
    rewritten.pointer.length = line_size;
    kvstore_status status = keep_item(copy, &rewritten);
    kv_io_free(line);
    return status;
}

/* --- What is kept --- */

static kvstore_status is_kept(const struct copy *copy,
                              const struct kv_fold_item *item,
                              bool *is_kept_out)
{
    *is_kept_out = item->type != KV_COMMAND_BLANK;
    bool is_record =
        item->type == KV_COMMAND_SET || item->type == KV_COMMAND_REMOVE;
    if (!is_record || !kv_keydir_is_reachable(item)) {
        return KVSTORE_OK;
    }
    uint64_t newest = 0;
    kvstore_status status =
        kv_keydir_newest(copy->keydir, copy->log, item, &newest);
    bool has_damage = copy->keydir->totals.counts.damaged_records > 0;
    *is_kept_out = newest == item->pointer.offset &&
                   (item->type == KV_COMMAND_SET || has_damage);
    return status;
}

static kvstore_status copy_item(void *context, const struct kv_fold_item *item)
{
    struct copy *copy = context;
    bool is_live = false;
    kvstore_status status = is_kept(copy, item, &is_live);
    if (status != KVSTORE_OK || !is_live) {
        return status;
    }
    bool loses_batch =
        item->type != KV_COMMAND_DAMAGED && item->command->batch != 0;
    return loses_batch ? keep_without_batch(copy, item) : keep_item(copy, item);
}

static kvstore_status copy_live_records(struct copy *copy)
{
    struct kv_fold_range range = {.offset = 0,
                                  .end = copy->keydir->totals.applied,
                                  .progress = copy->progress};
    struct kv_fold_result result;
    kvstore_status status = kv_fold(copy->log, range, copy_item, copy, &result);
    if (status == KVSTORE_OK &&
        (result.is_torn || result.offset != range.end)) {
        status = kv_fail_at(KVSTORE_CORRUPT,
                            result.offset,
                            "%s was changed under a running program",
                            KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        status = flush(copy);
    }
    return status;
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

kvstore_status kv_compaction_create_log(const struct kv_io_file *directory,
                                        const struct kv_log *log,
                                        struct kv_log *new_log)
{
    struct kv_io_stat model;
    struct kv_io_stat own;
    *new_log = KV_LOG_NONE;
    kvstore_status status = kv_io_stat(&log->file, &model);
    if (status == KVSTORE_OK) {
        status = kv_io_open(
            directory, KV_LOG_COMPACT_NAME, KV_IO_WRITE_CREATE, &new_log->file);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_lock(&new_log->file, 0, NULL);
    }
    if (status == KVSTORE_OK) {
        status = check_name(directory, &new_log->file, &own);
    }
    if (status == KVSTORE_OK) {
        new_log->device = own.device;
        new_log->inode = own.inode;
        status = kv_io_truncate(&new_log->file, 0);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_adopt(&new_log->file, &model);
    }
    return status;
}

static kvstore_status prepare(struct copy *copy,
                              const struct kv_io_file *directory)
{
    kvstore_status status =
        kv_compaction_create_log(directory, copy->log, &copy->new_log);
    if (status != KVSTORE_OK) {
        return status;
    }
    copy->buffer = kv_io_allocate(BUFFER_SIZE);
    if (copy->buffer == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    return kv_keydir_create(copy->keydir->totals.slots_used,
                            copy->keydir->directory,
                            &copy->new_log,
                            &copy->new_keydir);
}

kvstore_status kv_compaction_write(const struct kv_io_file *directory,
                                   const struct kv_log *log,
                                   const struct kv_keydir *keydir,
                                   const struct kv_progress *progress,
                                   struct kv_log *log_out,
                                   struct kv_keydir *keydir_out)
{
    struct copy copy = {.log = log,
                        .keydir = keydir,
                        .progress = progress,
                        .new_log = KV_LOG_NONE,
                        .new_keydir = KV_KEYDIR_NONE};
    *log_out = KV_LOG_NONE;
    *keydir_out = KV_KEYDIR_NONE;

    kvstore_status status = prepare(&copy, directory);
    if (status == KVSTORE_OK) {
        status = copy_live_records(&copy);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_sync(&copy.new_log.file);
    }
    kv_io_free(copy.buffer);
    if (status != KVSTORE_OK) {
        kv_compaction_discard(directory, &copy.new_log);
        kv_keydir_release(&copy.new_keydir);
        return status;
    }
    copy.new_keydir.totals.compactions = keydir->totals.compactions + 1;
    *log_out = copy.new_log;
    *keydir_out = copy.new_keydir;
    return KVSTORE_OK;
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
