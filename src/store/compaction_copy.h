/* SPDX-License-Identifier: MIT */

/* Which lines of the old log go to the new one, and how. For compaction.c. */

#ifndef KV_STORE_COMPACTION_COPY_H
#define KV_STORE_COMPACTION_COPY_H

#include "kvstore.h"
#include "log/fold.h"
#include "store/compaction_output.h"

/* Before the first line, when there is a new index; and at the end, however it
 * comes. */
kvstore_status kv_compaction_begin_copy(struct kv_compaction *compaction);
void kv_compaction_end_copy(struct kv_compaction *compaction);

/* Visits lines of the copy: those that are live go to the new log. The context
 * is the compaction. */
kvstore_status kv_compaction_copy_item(void *context,
                                       const struct kv_fold_item *item);

/* After the last line: ends the copy; the new index is whole then.
 * KVSTORE_CORRUPT: the old one has lied. */
kvstore_status kv_compaction_finish_copy(struct kv_compaction *compaction);

/* Visits lines of a round: all but blank ones go to the new log. */
kvstore_status kv_compaction_follow_item(void *context,
                                         const struct kv_fold_item *item);

#endif
