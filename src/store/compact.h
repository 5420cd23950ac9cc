/* SPDX-License-Identifier: MIT */

/* Who compacts, and when. */

#ifndef KV_STORE_COMPACT_H
#define KV_STORE_COMPACT_H

#include "kvstore.h"

#include <stdbool.h>
#include <stdint.h>

/* Within a write: does the handle have to see to it that the store is
 * compacted? */
bool kv_store_is_compaction_due(const kvstore *store);

/* Behind a write: sees to it. Changes no error of this thread. */
void kv_store_compact_when_due(kvstore *store);

/* Around a compaction or a repair of this handle. KVSTORE_BUSY: another thread
 * is at one until the timeout. */
kvstore_status kv_store_enter_compactor(kvstore *store, int32_t timeout_ms);
void kv_store_leave_compactor(kvstore *store);

/* Before the handle is closed: no thread is compacting any more. */
void kv_store_stop_compacting(kvstore *store);

#endif
