/* SPDX-License-Identifier: MIT */

/* What goes to the new log of a compaction, byte by byte, and what has to be put
 * between lines so that a fold of it judges each as one of the old log did. */

#ifndef KV_STORE_COMPACTION_OUTPUT_H
#define KV_STORE_COMPACTION_OUTPUT_H

#include "kvstore.h"
#include "log/fold.h"
#include "store/compaction.h"

#include <stddef.h>
#include <stdint.h>

/* Tests have a smaller one, and as many more writes. */
#ifndef KV_COMPACTION_BUFFER_SIZE
#define KV_COMPACTION_BUFFER_SIZE ((size_t)1 << 20)
#endif

/* Where the next byte goes. */
static inline uint64_t kv_compaction_offset(
    const struct kv_compaction *compaction)
{
    return compaction->written + compaction->buffered;
}

/* Writes to the file what is in the buffer. */
kvstore_status kv_compaction_flush(struct kv_compaction *compaction);

/* What has to stand before a line: a newline that ends the one before it
 * (is_parted), which belongs to that one; and a blank line of so many bytes. */
struct kv_compaction_gap {
    bool is_parted;
    size_t blank_size;
};
struct kv_compaction_gap kv_compaction_gap_before(
    const struct kv_compaction *compaction,
    const struct kv_fold_item *item);
kvstore_status kv_compaction_put_gap(struct kv_compaction *compaction,
                                     struct kv_compaction_gap gap);

/* Puts a line, and its newline if it has one. */
kvstore_status kv_compaction_put_line(struct kv_compaction *compaction,
                                      const struct kv_fold_item *item);

#endif
