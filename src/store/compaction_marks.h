/* SPDX-License-Identifier: MIT */

/* Which records of a log its index leads to: a bit for each few bytes of the
 * log, taken from all slots at once. So a compaction knows whether a record is
 * the newest of its key without looking each one up in the index. */

#ifndef KV_STORE_COMPACTION_MARKS_H
#define KV_STORE_COMPACTION_MARKS_H

#include "index/table.h"

#include <stdbool.h>
#include <stdint.h>

/* A bit covers this many bytes: there is no shorter record. */
#define KV_COMPACTION_MARK_SPAN 16u

struct kv_compaction_marks;

/* Creates marks for a log that is copied up to a size; they take an eighth of
 * the index at most, or 1 MiB. NULL, with the error set, if there is no memory;
 * freed by kv_io_free(). */
struct kv_compaction_marks *kv_compaction_marks_create(
    const struct kv_table *table,
    uint64_t log_size);

/* True if a slot without the flag leads to a record at this offset. The first
 * offset may be anywhere, each later one is past it. A slot that changes
 * meanwhile counts as it was, or as it is. */
bool kv_compaction_marks_have(struct kv_compaction_marks *marks,
                              uint64_t offset);

/* Returns the sum of kv_table_mix_entry() over all slots without the flag that
 * lead into the log up to its size. After that nothing is asked of the
 * marks. */
uint64_t kv_compaction_marks_sum(struct kv_compaction_marks *marks);

#endif
