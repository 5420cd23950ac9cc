/* SPDX-License-Identifier: MIT */

/* Applies records to an index, and counts bytes. */

#ifndef KV_INDEX_APPLY_H
#define KV_INDEX_APPLY_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

/* --- Publishing --- */

/* From here to kv_index_end_publishing(), records are applied to an index in
 * use, which reach up to an end of the log. The caller has made sure that there
 * is room. If the process dies in between, the next one that has the lock builds
 * the index anew. Does nothing to an index that is not in use. */
void kv_index_begin_publishing(struct kv_index *index, uint64_t end);

/* Publishes the totals. is_at_end: the log ends there, in a newline. An index in
 * doubt stays as a dead writer leaves one. */
void kv_index_end_publishing(struct kv_index *index, bool is_at_end);

/* --- Applying --- */

/* Counts a line that begins where the last one ended. Its key's older record
 * stays counted until the slot is put. */
kvstore_status kv_index_count_line(struct kv_index *index,
                                   const struct kv_fold_item *item);

/* Puts the slot of a line that has been counted: those of one key in log order.
 * An index that is not in use grows for it; one in use fails with
 * KVSTORE_TOO_LARGE if it has no room. is_new_out: its key had none of this
 * kind. */
kvstore_status kv_index_put_slot(struct kv_index *index,
                                 const struct kv_log *log,
                                 struct kv_table_slot slot,
                                 bool *is_new_out);

/* Where a record that is about to be written will be. */
struct kv_index_target {
    struct kv_table_hash hash; /* Of its key, by the secret that begins so. */
    uint64_t secret_word;
    struct kv_table_place place; /* KV_TABLE_NO_SLOT: the index lies. */
    bool has_older;              /* The key has a slot, which leads to this: */
    struct kv_table_entry older;
    uint64_t older_length; /* Of that record, even if it is long. */
};

/* Hashes the key, and asks the processor to fetch its bucket. */
void kv_index_begin_target(const struct kv_index *index,
                           const void *key,
                           size_t key_size,
                           struct kv_index_target *target_out);

/* Finds the target of a key, whose hash may have been begun for this index or
 * another one; zero: for none. KVSTORE_IO: how long the key's older record is
 * cannot be read. */
kvstore_status kv_index_find_target(const struct kv_index *index,
                                    const struct kv_log *log,
                                    const void *key,
                                    size_t key_size,
                                    struct kv_index_target *target);

/* Applies a record that has been appended, whose target was found before.
 * Cannot fail. */
void kv_index_apply_target(struct kv_index *index,
                           const struct kv_log *log,
                           const struct kv_fold_item *item,
                           const struct kv_index_target *target);

/* True if so many more keys have room. */
bool kv_index_has_room(const struct kv_index *index, uint64_t more_keys);

/* Notes that the last line applied, which is damaged, is so many bytes
 * longer. */
void kv_index_lengthen_damage(struct kv_index *index, uint64_t bytes);

#endif
