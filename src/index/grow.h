/* SPDX-License-Identifier: MIT */

/* Larger and smaller indexes with the same keys. */

#ifndef KV_INDEX_GROW_H
#define KV_INDEX_GROW_H

#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

/* Creates a larger index, one level up or more, with all that is in this
 * one. */
kvstore_status kv_index_create_larger(const struct kv_index *index,
                                      const struct kv_log *log,
                                      struct kv_index *larger_out);

/* True if the index has used up its hash bits, so that a larger one would cost
 * a read of the log for each key, and there are many. Then one fold of the log
 * is faster. */
bool kv_index_is_worn(const struct kv_index *index);

/* Makes an index that is not in use as small as its keys allow, if there is
 * room for another one. */
void kv_index_shrink(struct kv_index *index, const struct kv_log *log);

/* Puts a key's slot, with or without the flag, into an index where it has none
 * yet. Returns false if there is no place. */
bool kv_index_put_new(struct kv_index *index,
                      uint64_t hash,
                      uint64_t offset,
                      bool is_flagged);

/* Puts a larger index in the place of one that is not in use. */
kvstore_status kv_index_grow(struct kv_index *index, const struct kv_log *log);

#endif
