/* SPDX-License-Identifier: MIT */

/* Which thread compacts, and when. */

#ifndef KV_STORE_COMPACT_H
#define KV_STORE_COMPACT_H

#include "index/table.h"
#include "kvstore.h"

#include <stdbool.h>
#include <stdint.h>

/* Within a write: true if the handle must see to it that the store is
 * compacted. */
bool kv_store_is_compaction_due(const kvstore *store);

/* The same by these totals, whatever runs it. */
bool kv_store_would_compact(const kvstore *store,
                            const struct kv_table_totals *totals);

/* After a write: sees to it. Leaves this thread's error as it is. */
void kv_store_compact_when_due(kvstore *store);

/* Enclose a compaction or a repair of this handle. KVSTORE_BUSY: another thread
 * was busy with one until the timeout. */
kvstore_status kv_store_enter_compactor(kvstore *store, int32_t timeout_ms);
void kv_store_leave_compactor(kvstore *store);

/* Before the handle is closed: ensures that no thread is still compacting. */
void kv_store_stop_compacting(kvstore *store);

#endif
