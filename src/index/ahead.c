/* SPDX-License-Identifier: MIT */

/* Applies many lines. In an index that does not fit the processor's cache,
 * nearly every record costs a wait for memory, and another if its key has an
 * older line. So records are applied some lines after they were read, when the
 * slots of their keys have been fetched, and the lines that these lead to.
 *
 * The memory for a batch is asked for all at once, so that the waits
 * overlap. */

#include "index/ahead.h"

#include "index/apply.h"
#include "index/table.h"
#include "log/line.h"
#include "os/bounds.h"
#include "record/text.h"

#include <assert.h>
#include <string.h>

static kvstore_status apply_queued(struct kv_index_queue *queue,
                                   const struct kv_index_queued *queued)
{
    struct kv_record record = {
        .type = queued->type,
        .has_key = true,
        .key = kv_text_plain(queued->key, queued->key_size)};
    struct kv_fold_item item = {
        .pointer = queued->pointer, .type = queued->type, .record = &record};
    struct kv_index_key key = {
        .bytes = queued->key, .size = queued->key_size, .hash = queued->hash};
    return kv_index_apply_key(
        queue->index, queue->log, &item, &key, &queue->lacks_room);
}

static kvstore_status apply_batch(struct kv_index_queue *queue,
                                  struct kv_index_batch *batch)
{
    const struct kv_table_counts *counts = &queue->index->totals.counts;
    uint64_t stale_before = counts->stale_bytes;
    kvstore_status status = KVSTORE_OK;
    for (unsigned i = 0;
         i < batch->count && status == KVSTORE_OK && !queue->lacks_room;
         i++) {
        status = apply_queued(queue, &batch->queued[i]);
    }
    batch->count = 0;
    queue->meets_older = counts->stale_bytes != stale_before;
    return status;
}

static struct kv_index_batch *batch_after(struct kv_index_queue *queue,
                                          unsigned count)
{
    return &queue->batches[(queue->filling + count) % KV_INDEX_BATCH_COUNT];
}

static void fetch_slots(const struct kv_table *table,
                        struct kv_index_batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        struct kv_index_queued *queued = &batch->queued[i];
        queued->hash = kv_table_hash(table, queued->key, queued->key_size);
        kv_table_prefetch(table, queued->hash);
    }
}

/* Asks for the line that the first slot for each key leads to, nearly always
 * the key's older one. */
static void fetch_older_lines(const struct kv_index_queue *queue,
                              const struct kv_index_batch *batch)
{
    const struct kv_table *table = &queue->index->table;
    for (unsigned i = 0; i < batch->count; i++) {
        struct kv_table_probe place =
            kv_table_probe_start(table, batch->queued[i].hash);
        struct kv_table_entry entry;
        if (kv_table_probe_next(table, &place, &entry)) {
            kv_log_prefetch(queue->log, entry.offset);
        }
    }
}

/* Asks for the slots of the full batch, and for the lines that those of the
 * batch before lead to, unless keys are new anyway; applies the oldest batch,
 * for which everything has arrived meanwhile, and has that one filled next. */
static kvstore_status turn_over(struct kv_index_queue *queue)
{
    fetch_slots(&queue->index->table, batch_after(queue, 0));
    if (queue->meets_older) {
        fetch_older_lines(queue, batch_after(queue, KV_INDEX_BATCH_COUNT - 1));
    }
    struct kv_index_batch *oldest = batch_after(queue, 1);
    queue->filling = (queue->filling + 1) % KV_INDEX_BATCH_COUNT;
    return apply_batch(queue, oldest);
}

/* Applies what is in the queue. */
static kvstore_status apply_all(struct kv_index_queue *queue)
{
    kvstore_status status = KVSTORE_OK;
    for (unsigned i = 0; status == KVSTORE_OK && i < KV_INDEX_BATCH_COUNT;
         i++) {
        status = turn_over(queue);
    }
    return status;
}

static bool is_queueable(const struct kv_fold_item *item)
{
    const struct kv_text *key = &item->record->key;
    return (item->type == KV_RECORD_SET || item->type == KV_RECORD_REMOVE) &&
           key->form == KV_TEXT_PLAIN && key->size >= 1 &&
           key->size <= KV_INDEX_QUEUED_KEY_SIZE_MAX;
}

void kv_index_queue_init(struct kv_index_queue *queue,
                         struct kv_index *index,
                         const struct kv_log *log)
{
    queue->index = index;
    queue->log = log;
    queue->last = (struct kv_log_pointer){0};
    queue->lacks_room = false;
    queue->meets_older = false;
    queue->filling = 0;
    for (unsigned i = 0; i < KV_INDEX_BATCH_COUNT; i++) {
        queue->batches[i].count = 0;
    }
}

static kvstore_status enqueue(struct kv_index_queue *queue,
                              const struct kv_fold_item *item)
{
    kvstore_status status = KVSTORE_OK;
    if (queue->batches[queue->filling].count == KV_INDEX_BATCH_SIZE) {
        status = turn_over(queue);
    }
    const struct kv_text *key = &item->record->key;
    struct kv_index_batch *batch = &queue->batches[queue->filling];
    struct kv_index_queued *queued = &batch->queued[batch->count++];
    queued->pointer = item->pointer;
    queued->type = item->type;
    queued->key_size = key->size;
    memcpy(queued->key, key->raw, key->size);
    return status;
}

kvstore_status kv_index_queue_apply(struct kv_index_queue *queue,
                                    const struct kv_fold_item *item)
{
    if (item->bytes != NULL) {
        queue->last = item->pointer;
    }
    if (is_queueable(item)) {
        return enqueue(queue, item);
    }
    kvstore_status status = apply_all(queue);
    return status == KVSTORE_OK && !queue->lacks_room
               ? kv_index_apply(
                     queue->index, queue->log, item, &queue->lacks_room)
               : status;
}

kvstore_status kv_index_queue_flush(struct kv_index_queue *queue)
{
    kvstore_status status = apply_all(queue);
    if (status == KVSTORE_OK && !queue->lacks_room && queue->last.length != 0) {
        status = kv_index_note_last(queue->index, queue->log, queue->last);
    }
    return status;
}

static bool is_key(const kvstore_item *item)
{
    return item->key != NULL && item->key_size >= 1 &&
           item->key_size <= KV_KEY_SIZE_MAX;
}

/* Finds the first place that may be the key's, and asks for its line. */
static void look_ahead(const struct kv_table *table,
                       const struct kv_log *log,
                       struct kv_index_start *start)
{
    start->place = kv_table_probe_start(table, start->key.hash);
    start->has_entry = kv_table_probe_next(table, &start->place, &start->entry);
    if (start->has_entry) {
        kv_log_prefetch(log, start->entry.offset);
    }
}

void kv_index_start_finds(const struct kv_index *index,
                          const struct kv_log *log,
                          const kvstore_item *items,
                          size_t count,
                          struct kv_index_start *starts_out)
{
    assert(count <= KV_INDEX_START_MAX);
    const struct kv_table *table = &index->table;
    for (size_t i = 0; i < count; i++) {
        if (is_key(&items[i])) {
            starts_out[i].key =
                kv_index_plain_key(table, items[i].key, items[i].key_size);
            kv_table_prefetch(table, starts_out[i].key.hash);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (is_key(&items[i])) {
            look_ahead(table, log, &starts_out[i]);
        }
    }
}
