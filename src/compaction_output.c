/* SPDX-License-Identifier: MIT */

/* What goes to the new log.
 *
 * Invariants:
 * 1. What was damage in the old log is damage in the new one, line by line: lines
 *    that did not stand side by side do not grow together, and one that shows
 *    damage to be no unfinished write still does so where it is now. */

#include "compaction_output.h"

#include "error.h"
#include "recovery.h"

#include <string.h>

kvstore_status kv_compaction_flush(struct kv_compaction *compaction)
{
    kvstore_status status = kv_io_write(&compaction->new_log.file,
                                        compaction->written,
                                        compaction->buffer,
                                        compaction->buffered);
    if (status == KVSTORE_OK) {
        compaction->written += compaction->buffered;
        compaction->buffered = 0;
    }
    return status;
}

static kvstore_status put_bytes(struct kv_compaction *compaction,
                                const char *bytes,
                                size_t size)
{
    if (compaction->buffered + size > KV_COMPACTION_BUFFER_SIZE) {
        kvstore_status status = kv_compaction_flush(compaction);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    if (size <= KV_COMPACTION_BUFFER_SIZE) {
        memcpy(compaction->buffer + compaction->buffered, bytes, size);
        compaction->buffered += size;
        return KVSTORE_OK;
    }
    kvstore_status status = kv_io_write(
        &compaction->new_log.file, compaction->written, bytes, size);
    compaction->written += status == KVSTORE_OK ? size : 0;
    return status;
}

/* Copies a stretch of the old log that is not in memory as a whole. */
static kvstore_status copy_stretch(struct kv_compaction *compaction,
                                   struct kv_log_pointer pointer)
{
    kvstore_status status = kv_compaction_flush(compaction);
    if (status == KVSTORE_OK) {
        status = kv_recovery_copy(&compaction->log->file,
                                  pointer.offset,
                                  pointer.offset + pointer.length,
                                  &compaction->new_log.file,
                                  compaction->written);
    }
    compaction->written += status == KVSTORE_OK ? pointer.length : 0;
    return status;
}

/* --- Between lines --- */

/* True if a line that was left out parted this one from the last, which has no
 * newline of its own: damage may have none. */
static bool must_part(const struct kv_compaction *compaction,
                      const struct kv_fold_item *item)
{
    return compaction->is_open &&
           compaction->open_until != item->pointer.offset;
}

struct kv_compaction_gap kv_compaction_gap_before(
    const struct kv_compaction *compaction,
    const struct kv_fold_item *item)
{
    return (struct kv_compaction_gap){.is_parted = must_part(compaction, item)};
}

kvstore_status kv_compaction_put_gap(struct kv_compaction *compaction,
                                     struct kv_compaction_gap gap)
{
    return gap.is_parted ? put_bytes(compaction, "\n", 1) : KVSTORE_OK;
}

/* --- Lines --- */

kvstore_status kv_compaction_put_line(struct kv_compaction *compaction,
                                      const struct kv_fold_item *item)
{
    compaction->is_open = item->is_open;
    compaction->open_until = item->pointer.offset + item->pointer.length;
    if (item->bytes == NULL) {
        return copy_stretch(compaction, item->pointer);
    }
    kvstore_status status = put_bytes(compaction, item->bytes, item->size);
    if (status == KVSTORE_OK && item->pointer.length > item->size) {
        status = put_bytes(compaction, "\n", 1);
    }
    return status;
}
