/* SPDX-License-Identifier: MIT */

/* What a compaction copies.
 *
 * Invariants:
 * 1. What is kept is kept in order and byte for byte, but that records of a
 *    batch lose that member. Damage is kept. While there is damage, so are the
 *    newest Removes behind it: the damaged line may be the one that they
 *    removed.
 * 2. The index is not believed. A record of a key of which one was copied already
 *    ends the compaction, since that one was not the newest; and so does the end,
 *    where there are not as many keys as the index has.
 * 3. Writers may go on. A slot only ever leads on to a later record, so what was
 *    the newest when it was looked up is copied at most once, and what was not
 *    has a newer one, to be copied or to be followed. */

#include "compaction_copy.h"

#include "bounds.h"
#include "compaction_marks.h"
#include "error.h"
#include "recovery.h"

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

/* A line and the newline behind it, if it has one: a run of NULs may not. */
static kvstore_status put_line(struct kv_compaction *compaction,
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

/* Did a line that was left out part this one from the last, which has no newline
 * of its own? Damage may have none, and must not grow together with a record. */
static bool must_part(const struct kv_compaction *compaction,
                      const struct kv_fold_item *item)
{
    return compaction->is_open && item->type != KV_COMMAND_DAMAGED &&
           compaction->open_until != item->pointer.offset;
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

/* Puts a newline where it is needed before an item, which belongs to the damage
 * before it. */
static kvstore_status part(struct kv_compaction *compaction,
                           const struct kv_fold_item *item)
{
    if (!must_part(compaction, item)) {
        return KVSTORE_OK;
    }
    kv_keydir_lengthen_damage(&compaction->new_keydir, 1);
    return put_bytes(compaction, "\n", 1);
}

static kvstore_status keep_item(struct kv_compaction *compaction,
                                const struct kv_fold_item *item)
{
    kvstore_status status = part(compaction, item);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_fold_item moved = *item;
    moved.pointer.offset = compaction->written + compaction->buffered;
    status = put_line(compaction, item);
    if (status != KVSTORE_OK) {
        return status;
    }
    assert(compaction->written + compaction->buffered ==
           moved.pointer.offset + moved.pointer.length);
    compaction->last = moved.pointer;
    return apply_moved(compaction, &moved);
}

static bool is_record(const struct kv_fold_item *item)
{
    return item->type == KV_COMMAND_SET || item->type == KV_COMMAND_REMOVE;
}

static bool is_kept_if_newest(const struct kv_compaction *compaction,
                              enum kv_command_type type)
{
    return type == KV_COMMAND_SET || compaction->keeps_removes;
}

static kvstore_status is_kept(const struct kv_compaction *compaction,
                              const struct kv_fold_item *item,
                              bool *is_kept_out)
{
    *is_kept_out = item->type != KV_COMMAND_BLANK;
    if (!is_record(item) || !kv_keydir_is_reachable(item)) {
        return KVSTORE_OK;
    }
    uint64_t newest = 0;
    kvstore_status status =
        kv_keydir_newest(compaction->keydir, compaction->log, item, &newest);
    *is_kept_out = newest == item->pointer.offset &&
                   is_kept_if_newest(compaction, item->type);
    return status;
}

static kvstore_status copy_now(struct kv_compaction *compaction,
                               const struct kv_fold_item *item)
{
    bool is_live = false;
    kvstore_status status = is_kept(compaction, item, &is_live);
    return status == KVSTORE_OK && is_live
               ? visit_alone(compaction, item, keep_item)
               : status;
}

/* --- The queue --- */

/* Most records are short, and tell their key as it is. Whether they are the
 * newest, the marks say. They wait here until the slots of the new index where
 * their keys belong have been fetched: while one batch is read in, the slots of
 * the one before are on their way. All of a batch is asked for at once: the
 * processor then looks up several pages at a time. */
#define BATCH_SIZE ((size_t)16)
#define QUEUE_SIZE (2 * BATCH_SIZE)
#define QUEUED_LINE_SIZE_MAX 512u

struct queued {
    struct kv_log_pointer pointer;
    uint64_t hash; /* Of its key. */
    enum kv_command_type type;
    bool is_newest; /* The old index leads to it. */
    size_t size;    /* Of the line, without its newline. */
    size_t key_size;
    size_t key_at; /* In the line. */
    char line[QUEUED_LINE_SIZE_MAX];
};

struct kv_compaction_queue {
    uint64_t entered; /* Records so far: the last ones are in the queue. */
    uint64_t asked;   /* The slots of so many have been asked for, */
    uint64_t left;    /* and as many have been copied, or not. */
    struct queued queued[QUEUE_SIZE];
};

struct kv_compaction_queue *kv_compaction_queue_create(void)
{
    struct kv_compaction_queue *queue = kv_io_allocate(sizeof *queue);
    if (queue != NULL) {
        queue->entered = 0;
        queue->asked = 0;
        queue->left = 0;
    }
    return queue;
}

static bool can_wait(const struct kv_compaction *compaction,
                     const struct kv_fold_item *item)
{
    if (compaction->keeps_removes || !is_record(item) ||
        item->size < KV_COMPACTION_MARK_SPAN ||
        item->size > QUEUED_LINE_SIZE_MAX ||
        item->pointer.length != item->size + 1 || is_of_batch(item)) {
        return false;
    }
    /* A line in a form of its own is decoded elsewhere. */
    const struct kv_text *key = &item->command->key;
    return item->command->owned == NULL && key->form == KV_TEXT_PLAIN &&
           kv_keydir_is_reachable(item);
}

static struct queued *queued_at(struct kv_compaction *compaction,
                                uint64_t number)
{
    return &compaction->queue->queued[number % QUEUE_SIZE];
}

static void enter(struct kv_compaction *compaction,
                  const struct kv_fold_item *item)
{
    struct queued *queued = queued_at(compaction, compaction->queue->entered++);
    const struct kv_text *key = &item->command->key;
    queued->pointer = item->pointer;
    queued->type = item->type;
    queued->is_newest =
        kv_compaction_marks_have(compaction->marks, item->pointer.offset);
    queued->size = item->size;
    queued->key_size = key->size;
    queued->key_at = (size_t)((const char *)key->raw - item->bytes);
    memcpy(queued->line, item->bytes, item->size);
    queued->hash =
        kv_index_hash(&compaction->new_keydir.index, key->raw, key->size);
}

static void ask_for_slots(struct kv_compaction *compaction)
{
    struct kv_compaction_queue *queue = compaction->queue;
    while (queue->asked < queue->entered) {
        struct queued *queued = queued_at(compaction, queue->asked++);
        kv_index_prefetch(&compaction->new_keydir.index, queued->hash);
    }
}

/* A record of a key of which there is one in the new log already: the index has
 * led to one that is not the newest. */
static kvstore_status refuse_second(struct kv_compaction *compaction,
                                    const struct queued *queued)
{
    struct kv_keydir_find find;
    kvstore_status status = kv_compaction_flush(compaction);
    if (status == KVSTORE_OK) {
        status = kv_keydir_find(&compaction->new_keydir,
                                &compaction->new_log,
                                queued->line + queued->key_at,
                                queued->key_size,
                                &find);
    }
    if (status == KVSTORE_OK) {
        if (find.is_found) {
            status = kv_fail_at(KVSTORE_CORRUPT,
                                queued->pointer.offset,
                                "the index does not belong to %s",
                                KV_LOG_NAME);
        }
        kv_keydir_find_release(&find);
    }
    return status;
}

/* Copies a record that is the newest, and gives it its slot. */
static kvstore_status keep_queued(struct kv_compaction *compaction,
                                  const struct queued *queued)
{
    struct kv_command command = {
        .type = queued->type,
        .has_key = true,
        .key = kv_text_plain(queued->line + queued->key_at, queued->key_size)};
    struct kv_fold_item item = {.pointer = queued->pointer,
                                .bytes = queued->line,
                                .size = queued->size,
                                .type = queued->type,
                                .command = &command};
    kvstore_status status = part(compaction, &item);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_fold_item moved = item;
    moved.pointer.offset = compaction->written + compaction->buffered;
    moved.bytes = NULL; /* What the last line is, is noted at the end. */
    status = put_line(compaction, &item);
    if (status != KVSTORE_OK) {
        return status;
    }
    compaction->last = moved.pointer;
    return kv_keydir_apply_new_hash(
        &compaction->new_keydir, &moved, queued->hash);
}

static kvstore_status leave_next(struct kv_compaction *compaction)
{
    const struct queued *queued =
        queued_at(compaction, compaction->queue->left++);
    kvstore_status status =
        kv_index_may_have(&compaction->new_keydir.index, queued->hash)
            ? refuse_second(compaction, queued)
            : KVSTORE_OK;
    return status == KVSTORE_OK && queued->is_newest &&
                   queued->type == KV_COMMAND_SET
               ? keep_queued(compaction, queued)
               : status;
}

/* All before an end leave the queue. */
static kvstore_status leave_up_to(struct kv_compaction *compaction,
                                  uint64_t end)
{
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK && compaction->queue->left < end) {
        status = leave_next(compaction);
    }
    return status;
}

kvstore_status kv_compaction_empty_queue(struct kv_compaction *compaction)
{
    ask_for_slots(compaction);
    return leave_up_to(compaction, compaction->queue->entered);
}

static kvstore_status copy_later(struct kv_compaction *compaction,
                                 const struct kv_fold_item *item)
{
    struct kv_compaction_queue *queue = compaction->queue;
    enter(compaction, item);
    if (queue->entered - queue->asked < BATCH_SIZE) {
        return KVSTORE_OK;
    }
    uint64_t asked = queue->asked;
    ask_for_slots(compaction);
    return leave_up_to(compaction, asked);
}

/* --- The visits --- */

/* A short rest is finished for who cannot wait for a long one. */
#define SHORT_REST ((uint64_t)64 << 20)

/* What writers add meanwhile belongs to the rest, or they could keep him for as
 * long as they go on. */
static kvstore_status check_given_up(struct kv_compaction *compaction,
                                     uint64_t offset)
{
    if (compaction->is_given_up == NULL ||
        !atomic_load_explicit(compaction->is_given_up, memory_order_relaxed)) {
        compaction->unhurried = offset;
        return KVSTORE_OK;
    }
    return compaction->end - compaction->unhurried > SHORT_REST
               ? kv_fail(KVSTORE_BUSY, "the compaction was given up")
               : KVSTORE_OK;
}

static void note_source(struct kv_compaction *compaction,
                        const struct kv_fold_item *item)
{
    if (item->bytes != NULL) {
        compaction->mark.totals.last = item->pointer;
    }
}

kvstore_status kv_compaction_copy_item(void *context,
                                       const struct kv_fold_item *item)
{
    struct kv_compaction *compaction = context;
    kvstore_status status = check_given_up(compaction, item->pointer.offset);
    note_source(compaction, item);
    if (status == KVSTORE_OK && can_wait(compaction, item)) {
        return copy_later(compaction, item);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_empty_queue(compaction);
    }
    if (status == KVSTORE_OK && item->type == KV_COMMAND_DAMAGED &&
        !compaction->keeps_removes) {
        /* The index does not know of any damage. */
        status = kv_fail_at(KVSTORE_CORRUPT,
                            item->pointer.offset,
                            "a line of %s has rotted",
                            KV_LOG_NAME);
    }
    return status == KVSTORE_OK ? copy_now(compaction, item) : status;
}

/* The fold of the new log counts what is put here. */
static kvstore_status follow_line(struct kv_compaction *compaction,
                                  const struct kv_fold_item *item)
{
    kvstore_status status = must_part(compaction, item)
                                ? put_bytes(compaction, "\n", 1)
                                : KVSTORE_OK;
    return status == KVSTORE_OK ? put_line(compaction, item) : status;
}

kvstore_status kv_compaction_follow_item(void *context,
                                         const struct kv_fold_item *item)
{
    kvstore_status status = check_given_up(context, item->pointer.offset);
    note_source(context, item);
    return status != KVSTORE_OK || item->type == KV_COMMAND_BLANK
               ? status
               : visit_alone(context, item, follow_line);
}
