/* SPDX-License-Identifier: MIT */

/* Larger and smaller indexes with the same keys. */

#ifndef KV_INDEX_GROW_H
#define KV_INDEX_GROW_H

#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"

#include <stdint.h>

/* Creates an index with all that is in this one and room for so many more keys:
 * larger by half, or by more if that is not enough. KVSTORE_CORRUPT: its slots
 * crowd; build it anew, with another secret. */
kvstore_status kv_index_create_larger(const struct kv_index *index,
                                      uint64_t more_keys,
                                      const struct kv_log *log,
                                      struct kv_index *larger_out);

/* Puts a larger index in the place of one that is not in use. */
kvstore_status kv_index_grow(struct kv_index *index, const struct kv_log *log);

/* Makes an index that is not in use as small as its keys allow, if there is
 * room for another one. */
void kv_index_shrink(struct kv_index *index, const struct kv_log *log);

#endif
