/* SPDX-License-Identifier: MIT */

/* Finds many keys at a time: memory is asked for ahead, so that the waits
 * overlap. */

#ifndef KV_INDEX_AHEAD_H
#define KV_INDEX_AHEAD_H

#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"

#include <stddef.h>

/* Begins a find for each item, at most KV_INDEX_START_MAX: so few that the
 * memory they will read is still in the processor's cache when they go on. Of
 * the items only the keys are read; an invalid key gets no start. */
#define KV_INDEX_START_MAX 16u
void kv_index_start_finds(const struct kv_index *index,
                          const struct kv_log *log,
                          const kvstore_item *items,
                          size_t count,
                          struct kv_index_start *starts_out);

#endif
