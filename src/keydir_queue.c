/* SPDX-License-Identifier: MIT */

/* Applying many lines. In an index that does not fit the processor's cache,
 * nearly every record costs a wait for memory. So records are applied some lines
 * after they were read, when the slots of their keys have been fetched. */

#include "keydir.h"
#include "keydir_walk.h"

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

/* Applies what is in the queue. */
static kvstore_status apply_all(struct kv_keydir_queue *queue)
{
    kvstore_status status = KVSTORE_OK;
    for (unsigned i = 0; i < queue->count && status == KVSTORE_OK; i++) {
        status = apply_queued(queue, &queue->queued[i]);
    }
    queue->count = 0;
    return status;
}

static bool is_queueable(const struct kv_fold_item *item)
{
    const struct kv_text *key = &item->command->key;
    return (item->type == KV_COMMAND_SET || item->type == KV_COMMAND_REMOVE) &&
           key->form == KV_TEXT_PLAIN && key->size >= 1 &&
           key->size <= KV_KEYDIR_QUEUED_KEY_SIZE_MAX;
}

kvstore_status kv_keydir_queue_apply(struct kv_keydir_queue *queue,
                                     const struct kv_fold_item *item)
{
    kvstore_status status = KVSTORE_OK;
    bool is_queued = is_queueable(item);
    if (queue->count == KV_KEYDIR_QUEUE_SIZE || !is_queued) {
        status = apply_all(queue);
    }
    if (item->bytes != NULL) {
        queue->last = item->pointer;
    }
    if (status != KVSTORE_OK || !is_queued) {
        return status == KVSTORE_OK
                   ? kv_keydir_apply(queue->keydir, queue->log, item)
                   : status;
    }
    const struct kv_text *key = &item->command->key;
    const struct kv_index *index = &queue->keydir->index;
    struct kv_keydir_queued *queued = &queue->queued[queue->count++];
    queued->pointer = item->pointer;
    queued->type = item->type;
    queued->key_size = key->size;
    memcpy(queued->key, key->raw, key->size);
    queued->hash = kv_index_hash(index, key->raw, key->size);
    kv_index_prefetch(index, queued->hash);
    return KVSTORE_OK;
}

kvstore_status kv_keydir_queue_flush(struct kv_keydir_queue *queue)
{
    kvstore_status status = apply_all(queue);
    if (status == KVSTORE_OK && queue->last.length != 0) {
        status = kv_keydir_note_last(queue->keydir, queue->log, queue->last);
    }
    return status;
}
