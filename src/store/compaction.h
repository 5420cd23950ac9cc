/* SPDX-License-Identifier: MIT */

/* Rewrites the live records of a log into a new one, beside writers, and puts
 * it in the old one's place. */

#ifndef KV_STORE_COMPACTION_H
#define KV_STORE_COMPACTION_H

#include "index/table.h"
#include "kvstore.h"
#include "store/compaction_output.h"

#include <stdbool.h>
#include <stdint.h>

/* Is a compaction due? */
bool kv_compaction_is_due(const struct kv_table_counts *counts,
                          uint64_t log_size,
                          uint64_t threshold_bytes,
                          uint32_t threshold_percent);

/* The rest is none or zero when it begins. Claims store.log.compact, under the
 * writers' lock, with the log's end settled. KVSTORE_BUSY: another compaction
 * runs. After a failure, too, the caller releases it. */
kvstore_status kv_compaction_begin(struct kv_compaction *compaction);

/* Copies what is live of the old log as far as the index had it at the
 * beginning, and builds the new index, in the same kind of memory. Takes no
 * lock: what is written meanwhile lies behind.
 * KVSTORE_CORRUPT: the index does not belong to the log. Build it anew.
 * KVSTORE_BUSY:    given up. */
kvstore_status kv_compaction_copy(struct kv_compaction *compaction);

/* Copies all records that the old log has gained up to an offset, Sets and
 * Removes, and applies them. They are published. Statuses as above. Given up
 * where more than 64 MiB lie between the end and the place where it was when
 * somebody asked for that: so in the copy, too. */
kvstore_status kv_compaction_follow(struct kv_compaction *compaction,
                                    uint64_t end);

/* Brings the new log to the disk, as far as it is written. */
kvstore_status kv_compaction_sync(struct kv_compaction *compaction);

/* Is all that the store's log has in the new pair? Else KVSTORE_CORRUPT: what was
 * acknowledged once has rotted and looks torn. */
kvstore_status kv_compaction_check(const struct kv_compaction *compaction,
                                   const struct kv_table_totals *old);

/* Gives up what is not in its place yet. */
void kv_compaction_release(struct kv_compaction *compaction);

#endif
