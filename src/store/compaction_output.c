/* SPDX-License-Identifier: MIT */

/* What goes to the new log.
 *
 * Invariants:
 * 1. What was damage in the old log is damage in the new one, line by line:
 *    lines that were not side by side are not joined, and one that shows damage
 *    to be no unfinished write still does so where it is now. */

#include "store/compaction_output.h"

#include "log/mend.h"

#include <string.h>

/* Moves on to the last two bytes after some more. */
static void move_tail(char tail[2], const char *bytes, size_t size)
{
    if (size > 0) {
        tail[0] = size > 1 ? bytes[size - 2] : tail[1];
        tail[1] = bytes[size - 1];
    }
}

static kvstore_status write_out(struct kv_compaction *compaction,
                                const char *bytes,
                                size_t size)
{
    kvstore_status status = kv_io_write(
        &compaction->new_log.file, compaction->written, bytes, size);
    if (status == KVSTORE_OK) {
        compaction->written += size;
        move_tail(compaction->tail, bytes, size);
    }
    return status;
}

kvstore_status kv_compaction_flush(struct kv_compaction *compaction)
{
    kvstore_status status =
        write_out(compaction, compaction->buffer, compaction->buffered);
    if (status == KVSTORE_OK) {
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
    if (size > KV_COMPACTION_BUFFER_SIZE) {
        return write_out(compaction, bytes, size);
    }
    memcpy(compaction->buffer + compaction->buffered, bytes, size);
    compaction->buffered += size;
    return KVSTORE_OK;
}

/* Copies a stretch of the old log that is not in memory as a whole. */
static kvstore_status copy_stretch(struct kv_compaction *compaction,
                                   struct kv_log_pointer pointer)
{
    kvstore_status status = kv_compaction_flush(compaction);
    if (status == KVSTORE_OK) {
        status = kv_mend_copy(&compaction->log->file,
                              pointer.offset,
                              pointer.offset + pointer.length,
                              &compaction->new_log.file,
                              compaction->written);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    compaction->written += pointer.length;
    char last[2];
    size_t count = 0;
    status = kv_io_read(&compaction->new_log.file,
                        compaction->written - sizeof last,
                        last,
                        sizeof last,
                        &count);
    if (status == KVSTORE_OK && count == sizeof last) {
        move_tail(compaction->tail, last, sizeof last);
    }
    return status;
}

/* --- Between lines --- */

/* What disks keep or lose as a whole: log/fold.c relies on it. */
#define SECTOR_BYTES 512u

/* True if a line that was left out separated this one from the last, which has
 * no newline of its own: damage may have none. */
static bool must_part(const struct kv_compaction *compaction,
                      const struct kv_fold_item *item)
{
    return compaction->is_open &&
           compaction->open_until != item->pointer.offset;
}

static bool is_closed_after(const struct kv_fold_item *item,
                            uint64_t offset,
                            size_t blank_size,
                            const char tail[2])
{
    char before[2] = {tail[0], tail[1]};
    if (blank_size > 0) {
        before[0] = blank_size == 1 ? tail[1] : ' ';
        before[1] = '\n';
    }
    return kv_fold_is_closed_at(
        item->bytes, item->size, offset + blank_size, before);
}

/* A closed line is no unfinished write, wherever it is; but whether it looks
 * closed depends on where it is in the sectors of the file, and on what is
 * before it. A blank line before it brings it to where it was in its sector, or
 * one sector further on if it would end as padding does there. */
static size_t blank_size_before(const struct kv_compaction *compaction,
                                const struct kv_fold_item *item,
                                bool is_parted)
{
    uint64_t offset = kv_compaction_offset(compaction) + (is_parted ? 1 : 0);
    char tail[2] = {compaction->tail[0], compaction->tail[1]};
    move_tail(tail, compaction->buffer, compaction->buffered);
    if (is_parted) {
        tail[0] = tail[1];
        tail[1] = '\n';
    }
    if (is_closed_after(item, offset, 0, tail)) {
        return 0;
    }
    size_t size =
        (size_t)((item->pointer.offset - offset) & (SECTOR_BYTES - 1));
    size = size < 2 ? size + SECTOR_BYTES : size;
    return is_closed_after(item, offset, size, tail) ? size
                                                     : size + SECTOR_BYTES;
}

struct kv_compaction_gap kv_compaction_gap_before(
    const struct kv_compaction *compaction,
    const struct kv_fold_item *item)
{
    struct kv_compaction_gap gap = {.is_parted = must_part(compaction, item)};
    if (!item->is_closed) {
        return gap;
    }
    gap.blank_size = blank_size_before(compaction, item, gap.is_parted);
    if (gap.blank_size > 0 && compaction->is_open && !gap.is_parted) {
        /* A blank line would be joined to what has no newline. */
        gap.is_parted = true;
        gap.blank_size = blank_size_before(compaction, item, true);
    }
    return gap;
}

kvstore_status kv_compaction_put_gap(struct kv_compaction *compaction,
                                     struct kv_compaction_gap gap)
{
    kvstore_status status =
        gap.is_parted ? put_bytes(compaction, "\n", 1) : KVSTORE_OK;
    for (size_t i = 0; status == KVSTORE_OK && i < gap.blank_size; i++) {
        status = put_bytes(compaction, i + 1 < gap.blank_size ? " " : "\n", 1);
    }
    return status;
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
