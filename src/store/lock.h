/* SPDX-License-Identifier: MIT */

/* The locks around a store: the gate for the handle's own threads, the writers'
 * lock for all processes, which process holds it, and the pace of the
 * writers. */

#ifndef KV_STORE_LOCK_H
#define KV_STORE_LOCK_H

#include "kvstore.h"
#include "os/gate.h"
#include "store/store.h"

#include <stdint.h>

/* Returns when a timeout that begins now is over, as kv_gate_enter() takes
 * it. */
int64_t kv_store_deadline(int32_t timeout_ms);

/* Asks all writers of the store to wait a millisecond before each write, for
 * this long; 0: no longer. */
void kv_store_slow_writers(struct kvstore *store, int64_t ns);

/* Goes through the gate, in which the handle's threads wait for their
 * turn. */
kvstore_status kv_store_enter_gate(struct kvstore *store,
                                   struct kv_gate_waiter *waiter,
                                   int64_t deadline_ns);

/* The same for a writer. One that has the lock already, and finds the gate
 * open, needs no clock. */
kvstore_status kv_store_enter_gate_to_write(struct kvstore *store,
                                            struct kv_gate_waiter *waiter,
                                            int32_t timeout_ms,
                                            int64_t *deadline_ns_out);

/* Leaves the gate. The previous pair is unmapped and closed when the next
 * thread is in. */
void kv_store_leave_gate(struct kvstore *store) KV_GATED;

/* True if the process that last signed as holder has the writers' lock, as the
 * system says. False if the system does not tell. */
bool kv_store_holder_lives(const struct kvstore *store) KV_GATED;

/* Notes in the index which process has the writers' lock, and since when. */
void kv_store_sign_as_holder(const struct kvstore *store) KV_LOCKED;

/* Takes the lock in the time that is left. */
kvstore_status kv_store_lock_writers(struct kvstore *store,
                                     int64_t deadline_ns) KV_GATED;

/* Releases the lock. Others that wait for it try every millisecond; so that a
 * busy writer does not always come first, it waits a little before its next
 * try. */
void kv_store_unlock_writers(struct kvstore *store) KV_LOCKED;

/* Waits a moment, if a compaction cannot catch up with the writers. */
void kv_store_keep_pace(const struct kvstore *store) KV_GATED;

#endif
