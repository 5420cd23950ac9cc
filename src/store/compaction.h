/* SPDX-License-Identifier: MIT */

/* Rewrites the live records of a log into a new one, while writers go on, to be
 * put in the old one's place. */

#ifndef KV_STORE_COMPACTION_H
#define KV_STORE_COMPACTION_H

#include "index/table.h"
#include "kvstore.h"
#include "store/compaction_output.h"

#include <stdbool.h>
#include <stdint.h>

/* When a compaction is due: thresholds, and the header's kept. */
struct kv_compaction_terms {
    uint64_t threshold_bytes;
    uint32_t threshold_percent;
    uint64_t kept;
};

/* True if a compaction is due: much is stale; or much may have expired, and the
 * log has doubled since it was last known what of it was needed. */
bool kv_compaction_is_due(const struct kv_table_counts *counts,
                          uint64_t log_size,
                          const struct kv_compaction_terms *terms);

/* Claims store.log.compact, under the writers' lock, with the log's end mended.
 * What the caller does not set is none or zero before. KVSTORE_BUSY: another
 * compaction is running. The caller releases it, also after a failure. */
kvstore_status kv_compaction_begin(struct kv_compaction *compaction);

/* Copies what is live in the old log, as far as the index had it at the
 * beginning, and builds the new index, in the same kind of memory. Takes no
 * lock: what is written meanwhile comes after that.
 * KVSTORE_CORRUPT: the index does not belong to the log. Build it anew.
 * KVSTORE_BUSY:    given up. */
kvstore_status kv_compaction_copy(struct kv_compaction *compaction);

/* Copies all records that the old log has gained up to an offset, Sets and
 * Removes, and applies them. They are published. Statuses as above. Gives up if
 * more than 64 MiB were left up to the end when that was asked for; so does the
 * copy. */
kvstore_status kv_compaction_follow(struct kv_compaction *compaction,
                                    uint64_t end);

/* Syncs the new log, as far as it is written. */
kvstore_status kv_compaction_sync(struct kv_compaction *compaction);

/* Fails unless the new pair has all that the store's log has: with
 * KVSTORE_CORRUPT, since what was once acknowledged has rotted and looks
 * torn. */
kvstore_status kv_compaction_check(const struct kv_compaction *compaction,
                                   const struct kv_table_totals *old);

/* Discards what is not in its place yet. */
void kv_compaction_release(struct kv_compaction *compaction);

#endif
