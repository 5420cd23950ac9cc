/* SPDX-License-Identifier: MIT */

/* How much of a store's log is on the disk, and what follows when a sync
 * fails. */

#ifndef KV_STORE_SYNC_H
#define KV_STORE_SYNC_H

#include "kvstore.h"
#include "store/barrier.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* In a durable handle: makes sure that the log up to an offset is on the disk
 * before a read reports what is there. After a failed sync it no longer makes
 * sure of anything, and reads go on. */
kvstore_status kv_store_ensure_synced(struct kvstore *store,
                                      uint64_t end) KV_READING;

/* Fails if a sync of the log has failed: the log takes no more writes. */
kvstore_status kv_store_check_poison(struct kvstore *store) KV_READING;

/* Syncs the log up to an offset. Poisons the log if that fails, and refuses if
 * a sync has failed before. */
kvstore_status kv_store_sync(struct kvstore *store, uint64_t end) KV_READING;

/* Syncs the log of a barrier, while nothing waits for that. Poisons the pair's
 * log if that fails, unless the pair has gone on to another log: then what was
 * in the old one was on the disk before. Not within a read. */
kvstore_status kv_store_sync_by(struct kvstore *store,
                                struct kv_barrier *barrier);

/* True if a sync of the pair's log has failed, here or elsewhere. */
bool kv_store_is_poisoned(struct kvstore *store) KV_READING;

/* Notes that a sync has failed here; if the pair's index has a successor, or has
 * lost its name, also in the one by name, which is sure only under the writers'
 * lock. */
void kv_store_poison(struct kvstore *store) KV_READING;

/* True if the pair's index has a successor, or is about to, which may have been
 * made before there was poison to take along. */
bool kv_store_has_successor(const struct kvstore *store) KV_READING;

/* Sets the error that says so, and returns its status. */
kvstore_status kv_store_fail_poisoned(void);

#endif
