/* SPDX-License-Identifier: MIT */

/* What a reader does when the index cannot answer: has it built anew, settled,
 * or waits for the rest of a batch. Not within a read or a write. */

#ifndef KV_STORE_DOUBT_H
#define KV_STORE_DOUBT_H

#include "kvstore.h"
#include "store/store.h"

#include <stdint.h>

/* Builds the index anew, because that with this secret was found to be wrong.
 * Does nothing if the handle has another one by now. */
kvstore_status kv_store_rebuild(struct kvstore *store, uint64_t secret);

/* Tries to have the index settled by the writers' lock, where its totals are not
 * exact. KVSTORE_OK: it is, or it cannot be. */
kvstore_status kv_store_settle(struct kvstore *store);

/* Waits a moment for the rest of the batch of a record at an offset. If the
 * writer has died, whoever gets the lock does its work for all; a read-only
 * handle does so for itself. KVSTORE_OK: it is whole, or its writer is alive. */
kvstore_status kv_store_await_batch(struct kvstore *store, uint64_t offset);

#endif
