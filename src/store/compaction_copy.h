/* SPDX-License-Identifier: MIT */

/* Which lines of the old log go to the new one, and how. For compaction.c. */

#ifndef KV_STORE_COMPACTION_COPY_H
#define KV_STORE_COMPACTION_COPY_H

#include "kvstore.h"
#include "log/fold.h"
#include "store/compaction_output.h"

/* What the copy has read and not decided yet. NULL, with the error set, if
 * there is no memory; freed by kv_io_free(). */
struct kv_compaction_queue *kv_compaction_queue_create(void);

/* Visit lines of the copy: those that are live go to the new log, and to the
 * new index; some of them later, or when the queue is emptied after the last.
 * The context is the compaction. */
kvstore_status kv_compaction_empty_queue(struct kv_compaction *compaction);
kvstore_status kv_compaction_copy_item(void *context,
                                       const struct kv_fold_item *item);

/* After the last record: KVSTORE_CORRUPT if a slot that leads into the copied
 * log leads to no record of its key. */
kvstore_status kv_compaction_check_index(struct kv_compaction *compaction);

/* Visits lines of a round: all but blank ones go to the new log. */
kvstore_status kv_compaction_follow_item(void *context,
                                         const struct kv_fold_item *item);

#endif
