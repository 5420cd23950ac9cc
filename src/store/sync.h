/* SPDX-License-Identifier: MIT */

/* What of a store's log is on the disk, and what follows when a sync fails. */

#ifndef KV_STORE_SYNC_H
#define KV_STORE_SYNC_H

#include "kvstore.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* In a durable handle: makes sure that the log up to an offset is on the disk
 * before what is there is told. After a failed sync nothing is made sure of any
 * more, and reads go on. */
kvstore_status kv_store_ensure_synced(struct kvstore *store,
                                      uint64_t end) KV_READING;

/* Fails if a sync of the log has: then it takes no more writes. */
kvstore_status kv_store_check_poison(struct kvstore *store) KV_READING;

/* Syncs the log up to an offset. Poisons it where that fails, and is refused
 * where it has. */
kvstore_status kv_store_sync(struct kvstore *store, uint64_t end) KV_READING;

/* True if a sync of the pair's log has failed, here or elsewhere. */
bool kv_store_is_poisoned(struct kvstore *store) KV_READING;

/* It has, here. */
void kv_store_poison(struct kvstore *store) KV_READING;

/* Says so, and is the status of it. */
kvstore_status kv_store_fail_poisoned(void);

#endif
