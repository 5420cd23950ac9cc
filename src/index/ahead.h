/* SPDX-License-Identifier: MIT */

/* Many keys at a time: memory is asked for ahead, so that the waits
 * overlap. */

#ifndef KV_INDEX_AHEAD_H
#define KV_INDEX_AHEAD_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/pointer.h"
#include "record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begins a find for each item, at most KV_INDEX_START_MAX: so few that the
 * memory they will read is still in the processor's cache when they go on. Of
 * the items only the keys are read; an invalid key gets no start. */
#define KV_INDEX_START_MAX 16u
void kv_index_start_finds(const struct kv_index *index,
                          const struct kv_log *log,
                          const kvstore_item *items,
                          size_t count,
                          struct kv_index_start *starts_out);

/* Lines that have been read, and wait for memory to be fetched. */
#define KV_INDEX_BATCH_SIZE 16u
#define KV_INDEX_QUEUED_KEY_SIZE_MAX 64u

struct kv_index_queued {
    struct kv_log_pointer pointer;
    enum kv_record_type type;
    size_t key_size;
    uint64_t hash;
    char key[KV_INDEX_QUEUED_KEY_SIZE_MAX];
};

struct kv_index_batch {
    unsigned count;
    struct kv_index_queued queued[KV_INDEX_BATCH_SIZE];
};

/* One batch is filled, while the slots for an older one are being fetched, and
 * the lines that the slots for the oldest lead to. */
#define KV_INDEX_BATCH_COUNT 3u
struct kv_index_queue {
    struct kv_index *index;   /* Borrowed, as is the log; */
    const struct kv_log *log; /* the rest is empty at first. */
    struct kv_log_pointer last;
    bool lacks_room;  /* Out: as for kv_index_apply(). Then nothing more is
                         applied. */
    bool meets_older; /* Keys of the last batch that was applied had lines. */
    unsigned filling; /* The batch being filled; the next is the oldest. */
    struct kv_index_batch batches[KV_INDEX_BATCH_COUNT];
};
void kv_index_queue_init(struct kv_index_queue *queue,
                         struct kv_index *index,
                         const struct kv_log *log);

/* kv_index_apply() for many lines in a row: faster, but each of them is sure to
 * be applied only after kv_index_queue_flush(). Between the two nothing else is
 * applied. After a failure the rest of the queue is not applied. */
kvstore_status kv_index_queue_apply(struct kv_index_queue *queue,
                                    const struct kv_fold_item *item);
kvstore_status kv_index_queue_flush(struct kv_index_queue *queue);

#endif
