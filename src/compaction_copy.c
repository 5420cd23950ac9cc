/* SPDX-License-Identifier: MIT */

/* What a compaction copies.
 *
 * Invariants:
 * 1. What is kept is kept in order and byte for byte, but that records of a
 *    batch lose that member. Damage is kept. While there is damage, so are the
 *    newest Removes behind it: the damaged line may be the one that they
 *    removed.
 * 2. The index is not believed: a record whose key has no slot, or an older
 *    one, ends the compaction.
 * 3. Writers may go on. A slot only ever leads on to a later record, so what was
 *    the newest when it was looked up is copied at most once, and what was not
 *    has a newer one, copied already or to be followed. */

#include "compaction_copy.h"

#include "bounds.h"
#include "error.h"

#include <assert.h>
#include <string.h>

/* --- Bytes --- */

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
    char part[4096];
    uint64_t done = 0;
    while (done < pointer.length) {
        uint64_t left = pointer.length - done;
        size_t size = left < sizeof part ? (size_t)left : sizeof part;
        size_t got = 0;
        kvstore_status status = kv_io_read(
            &compaction->log->file, pointer.offset + done, part, size, &got);
        if (status != KVSTORE_OK) {
            return status;
        }
        if (got == 0) {
            return kv_fail_at(KVSTORE_IO,
                              pointer.offset + done,
                              "%s was cut short",
                              KV_LOG_NAME);
        }
        status = put_bytes(compaction, part, got);
        if (status != KVSTORE_OK) {
            return status;
        }
        done += got;
    }
    return KVSTORE_OK;
}

/* A line and the newline behind it, if it has one: a run of NULs may not. */
static kvstore_status put_line(struct kv_compaction *compaction,
                               const struct kv_fold_item *item)
{
    if (item->bytes == NULL) {
        return copy_stretch(compaction, item->pointer);
    }
    kvstore_status status = put_bytes(compaction, item->bytes, item->size);
    if (status == KVSTORE_OK && item->pointer.length > item->size) {
        status = put_bytes(compaction, "\n", 1);
    }
    return status;
}

/* --- Batches --- */

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

static bool is_of_batch(const struct kv_fold_item *item)
{
    return item->type != KV_COMMAND_DAMAGED && item->command->batch != 0;
}

/* The visit of an item, or of what it is without its batch. */
static kvstore_status visit_alone(
    struct kv_compaction *compaction,
    const struct kv_fold_item *item,
    kvstore_status (*visit)(struct kv_compaction *compaction,
                            const struct kv_fold_item *item))
{
    if (!is_of_batch(item)) {
        return visit(compaction, item);
    }
    size_t line_size = 0;
    char *line = encode_without_batch(item->command, &line_size);
    if (line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    struct kv_fold_item alone = *item;
    alone.bytes = line;
    alone.size = line_size - 1;
    alone.pointer.length = line_size;
    kvstore_status status = visit(compaction, &alone);
    kv_io_free(line);
    return status;
}

/* --- The copy --- */

/* Gives a line its slot in the new keydir. A record that is the newest of its
 * key is the only one; damage that tells a key may not be. */
static kvstore_status apply_moved(struct kv_compaction *compaction,
                                  const struct kv_fold_item *moved)
{
    if (moved->type == KV_COMMAND_SET || moved->type == KV_COMMAND_REMOVE) {
        return kv_keydir_apply_new(&compaction->new_keydir, moved);
    }
    kvstore_status status = kv_compaction_flush(compaction);
    return status == KVSTORE_OK ? kv_keydir_apply(&compaction->new_keydir,
                                                  &compaction->new_log,
                                                  moved)
                                : status;
}

static kvstore_status keep_item(struct kv_compaction *compaction,
                                const struct kv_fold_item *item)
{
    struct kv_fold_item moved = *item;
    moved.pointer.offset = compaction->written + compaction->buffered;
    kvstore_status status = put_line(compaction, item);
    if (status != KVSTORE_OK) {
        return status;
    }
    assert(compaction->written + compaction->buffered ==
           moved.pointer.offset + moved.pointer.length);
    return apply_moved(compaction, &moved);
}

static kvstore_status is_kept(const struct kv_compaction *compaction,
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
        kv_keydir_newest(compaction->keydir, compaction->log, item, &newest);
    *is_kept_out = newest == item->pointer.offset &&
                   (item->type == KV_COMMAND_SET || compaction->keeps_removes);
    return status;
}

/* A short rest is finished for who cannot wait for a long one. */
#define SHORT_REST ((uint64_t)64 << 20)

static kvstore_status check_given_up(const struct kv_compaction *compaction,
                                     uint64_t offset)
{
    return compaction->is_given_up != NULL &&
                   atomic_load_explicit(compaction->is_given_up,
                                        memory_order_relaxed) &&
                   compaction->keydir->totals.applied - offset > SHORT_REST
               ? kv_fail(KVSTORE_BUSY, "the compaction was given up")
               : KVSTORE_OK;
}

kvstore_status kv_compaction_copy_item(void *context,
                                       const struct kv_fold_item *item)
{
    struct kv_compaction *compaction = context;
    bool is_live = false;
    kvstore_status status = check_given_up(compaction, item->pointer.offset);
    if (status == KVSTORE_OK) {
        status = is_kept(compaction, item, &is_live);
    }
    compaction->keeps_removes |= item->type == KV_COMMAND_DAMAGED;
    if (status != KVSTORE_OK || !is_live) {
        return status;
    }
    return visit_alone(compaction, item, keep_item);
}

kvstore_status kv_compaction_follow_item(void *context,
                                         const struct kv_fold_item *item)
{
    return item->type == KV_COMMAND_BLANK
               ? KVSTORE_OK
               : visit_alone(context, item, put_line);
}
