/* SPDX-License-Identifier: MIT */

/* Applying many lines. In an index that does not fit the processor's cache,
 * nearly every record costs a wait for memory, and another one where its key has
 * an older line. So records are applied some lines after they were read, when the
 * slots of their keys have been fetched, and the lines that these lead to.
 *
 * The memory for a batch is asked for all at once, so that the waits overlap. */

#include "index/keydir.h"
#include "index/keydir_walk.h"

#include <string.h>

static kvstore_status apply_queued(struct kv_keydir_queue *queue,
                                   const struct kv_keydir_queued *queued)
{
    struct kv_command command = {
        .type = queued->type,
        .has_key = true,
        .key = kv_text_plain(queued->key, queued->key_size)};
    struct kv_fold_item item = {
        .pointer = queued->pointer, .type = queued->type, .command = &command};
    struct kv_keydir_key key = {
        .bytes = queued->key, .size = queued->key_size, .hash = queued->hash};
    return kv_keydir_apply_key(queue->keydir, queue->log, &item, &key);
}

static kvstore_status apply_batch(struct kv_keydir_queue *queue,
                                  struct kv_keydir_batch *batch)
{
    const struct kv_index_counts *counts = &queue->keydir->totals.counts;
    uint64_t stale_before = counts->stale_bytes;
    kvstore_status status = KVSTORE_OK;
    for (unsigned i = 0; i < batch->count && status == KVSTORE_OK; i++) {
        status = apply_queued(queue, &batch->queued[i]);
    }
    batch->count = 0;
    queue->meets_older = counts->stale_bytes != stale_before;
    return status;
}

static struct kv_keydir_batch *batch_after(struct kv_keydir_queue *queue,
                                           unsigned count)
{
    return &queue->batches[(queue->filling + count) % KV_KEYDIR_BATCH_COUNT];
}

static void fetch_slots(const struct kv_index *index,
                        struct kv_keydir_batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        struct kv_keydir_queued *queued = &batch->queued[i];
        queued->hash = kv_index_hash(index, queued->key, queued->key_size);
        kv_index_prefetch(index, queued->hash);
    }
}

/* Asks for the line that the slots for each key lead to first, nearly always the
 * older one of the key. */
static void fetch_older_lines(const struct kv_keydir_queue *queue,
                              const struct kv_keydir_batch *batch)
{
    const struct kv_index *index = &queue->keydir->index;
    for (unsigned i = 0; i < batch->count; i++) {
        struct kv_index_probe place =
            kv_index_probe_start(index, batch->queued[i].hash);
        struct kv_index_entry entry;
        if (kv_index_probe_next(index, &place, &entry)) {
            kv_log_prefetch(queue->log, entry.offset);
        }
    }
}

/* Asks for the slots of the batch that is full, and for what those of the one
 * before lead to, unless keys are new anyway; applies the oldest one, for which
 * all has come meanwhile, and has that one filled next. */
static kvstore_status turn_over(struct kv_keydir_queue *queue)
{
    fetch_slots(&queue->keydir->index, batch_after(queue, 0));
    if (queue->meets_older) {
        fetch_older_lines(queue, batch_after(queue, KV_KEYDIR_BATCH_COUNT - 1));
    }
    struct kv_keydir_batch *oldest = batch_after(queue, 1);
    queue->filling = (queue->filling + 1) % KV_KEYDIR_BATCH_COUNT;
    return apply_batch(queue, oldest);
}

/* Applies what is in the queue. */
static kvstore_status apply_all(struct kv_keydir_queue *queue)
{
    kvstore_status status = KVSTORE_OK;
    for (unsigned i = 0; status == KVSTORE_OK && i < KV_KEYDIR_BATCH_COUNT;
         i++) {
        status = turn_over(queue);
    }
    return status;
}

static bool is_queueable(const struct kv_fold_item *item)
{
    const struct kv_text *key = &item->command->key;
    return (item->type == KV_COMMAND_SET || item->type == KV_COMMAND_REMOVE) &&
           key->form == KV_TEXT_PLAIN && key->size >= 1 &&
           key->size <= KV_KEYDIR_QUEUED_KEY_SIZE_MAX;
}

void kv_keydir_queue_init(struct kv_keydir_queue *queue,
                          struct kv_keydir *keydir,
                          const struct kv_log *log)
{
    queue->keydir = keydir;
    queue->log = log;
    queue->last = (struct kv_log_pointer){0};
    queue->meets_older = false;
    queue->filling = 0;
    for (unsigned i = 0; i < KV_KEYDIR_BATCH_COUNT; i++) {
        queue->batches[i].count = 0;
    }
}

static kvstore_status enqueue(struct kv_keydir_queue *queue,
                              const struct kv_fold_item *item)
{
    kvstore_status status = KVSTORE_OK;
    if (queue->batches[queue->filling].count == KV_KEYDIR_BATCH_SIZE) {
        status = turn_over(queue);
    }
    const struct kv_text *key = &item->command->key;
    struct kv_keydir_batch *batch = &queue->batches[queue->filling];
    struct kv_keydir_queued *queued = &batch->queued[batch->count++];
    queued->pointer = item->pointer;
    queued->type = item->type;
    queued->key_size = key->size;
    memcpy(queued->key, key->raw, key->size);
    return status;
}

kvstore_status kv_keydir_queue_apply(struct kv_keydir_queue *queue,
                                     const struct kv_fold_item *item)
{
    if (item->bytes != NULL) {
        queue->last = item->pointer;
    }
    if (is_queueable(item)) {
        return enqueue(queue, item);
    }
    kvstore_status status = apply_all(queue);
    return status == KVSTORE_OK
               ? kv_keydir_apply(queue->keydir, queue->log, item)
               : status;
}

kvstore_status kv_keydir_queue_flush(struct kv_keydir_queue *queue)
{
    kvstore_status status = apply_all(queue);
    if (status == KVSTORE_OK && queue->last.length != 0) {
        status = kv_keydir_note_last(queue->keydir, queue->log, queue->last);
    }
    return status;
}
