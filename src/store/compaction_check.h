/* SPDX-License-Identifier: MIT */

/* Checks the index against each record that a compaction meets, so that a lying
 * index never costs a key. */

#ifndef KV_STORE_COMPACTION_CHECK_H
#define KV_STORE_COMPACTION_CHECK_H

#include "index/index.h"
#include "kvstore.h"
#include "store/compaction_output.h"

#include <stdbool.h>
#include <stdint.h>

/* Checks what the index says of a record at an offset. is_marked: a slot leads
 * to it. KVSTORE_CORRUPT: the index lies. */
kvstore_status kv_compaction_check_record(struct kv_compaction *compaction,
                                          const struct kv_index_key *key,
                                          uint64_t offset,
                                          bool is_marked);

/* After the last record: KVSTORE_CORRUPT if a slot that leads into the copied
 * log leads to no record of its key. */
kvstore_status kv_compaction_check_index(struct kv_compaction *compaction);

#endif
