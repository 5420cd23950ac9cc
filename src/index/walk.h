/* SPDX-License-Identifier: MIT */

/* What the parts of the index share: its walks along the slots of a hash. */

#ifndef KV_INDEX_WALK_H
#define KV_INDEX_WALK_H

#include "index/index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_index_key kv_index_plain_key(const struct kv_table *table,
                                       const void *bytes,
                                       size_t size);

/* kv_index_apply() of an item whose key is known; it is not looked at if the
 * item has no place in the index. */
kvstore_status kv_index_apply_key(struct kv_index *index,
                                  const struct kv_log *log,
                                  const struct kv_fold_item *item,
                                  const struct kv_index_key *key);

/* Has the item a place in the index? */
bool kv_index_is_indexed(const struct kv_fold_item *item);

/* Damage, and what a newer version wrote, tell a key without giving it a
 * record: such a line is found beside the key's record, by a flag. */
bool kv_index_is_flagged(const struct kv_fold_item *item);

/* An empty index in the same kind of memory as another would be. */
kvstore_status kv_index_create_at(unsigned level,
                                  uint64_t seed,
                                  const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  struct kv_index *index_out);

void kv_index_find_init(struct kv_index_find *find);

/* Reads and decodes the line that a slot leads to. Of a line with the flag, only
 * the head if that tells the key: the whole may be larger than the memory. The
 * caller releases both, also after a failure. */
kvstore_status kv_index_read_entry(const struct kv_log *log,
                                   const struct kv_table_entry *entry,
                                   uint64_t end,
                                   struct kv_log_line *line_out,
                                   struct kv_record *record_out);

/* Reads the lines that the slots of a hash lead to, those with the flag or
 * those without, until one is about the key. find->is_found says whether there
 * is one, find->place where the walk ended. */
kvstore_status kv_index_walk(const struct kv_table *table,
                             const struct kv_log *log,
                             const struct kv_index_key *key,
                             bool is_flagged,
                             struct kv_index_find *find);

#endif
