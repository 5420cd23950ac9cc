/* SPDX-License-Identifier: MIT */

/* An open store: the locks around it, and the pair of log and index that it
 * uses, which other processes may change at any time. The public calls are made
 * of these steps. */

#ifndef KV_STORE_HANDLE_H
#define KV_STORE_HANDLE_H

#include "index/apply.h"
#include "index/index.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/fold.h"
#include "os/fork.h"
#include "os/gate.h"
#include "os/warnings.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens the log by its name, and the pair with it. No lock is held yet. If this
 * needs the writers' lock and another process has it, it is left to the first
 * call. */
kvstore_status kv_store_load(struct kvstore *store);

/* Begins a write: goes through the gate, takes the writers' lock, brings the
 * pair up to date with the log, mends the log's end. From here to
 * kv_store_end_write() the log ends at index.totals.applied, and there is no
 * other writer.
 * KVSTORE_NOT_FOUND, without an error set: another thread has done the waiter's
 * work. */
struct kv_store_intent {
    bool takes_poisoned; /* Also go on where a sync has failed. */
    bool is_quiet;       /* The program gets no progress reports. */
    bool is_compaction;  /* Other threads of the handle are patient with it. */
    int32_t timeout_ms;  /* As store->lock_timeout_ms. */
};
kvstore_status kv_store_begin_write(struct kvstore *store,
                                    struct kv_gate_waiter *waiter,
                                    const struct kv_store_intent *intent);
void kv_store_end_write(struct kvstore *store) KV_LOCKED;

/* Within a write whose index was built anew, or to begin one: brings the pair up
 * to date, mends the log's end, and fails if the store takes no writes. */
kvstore_status kv_store_follow_to_write(struct kvstore *store,
                                        bool takes_poisoned) KV_LOCKED;

/* Before a write: begins to find where a key's record will be, while the line is
 * planned. For an exclusive handle, whose writes wait for little else. */
void kv_store_begin_target(struct kvstore *store,
                           const void *key,
                           size_t key_size,
                           struct kv_index_target *target_out);

/* Looks at the log's end. If there is nothing after its totals, padding apart,
 * notes that in the index and returns true. */
bool kv_store_note_rest(struct kvstore *store) KV_LOCKED;

/* KVSTORE_INVALID in a child of fork(). */
kvstore_status kv_store_check_process(const struct kvstore *store);

/* Bytes that a compaction would take out, or might. */
static inline uint64_t kv_store_doubtful_bytes(
    const struct kv_table_totals *totals)
{
    return totals->counts.stale_bytes + totals->counts.expiring_bytes;
}

/* Puts compaction off: no handle finds one due again until as many more bytes
 * are stale, or may expire, as its own threshold says. */
void kv_store_put_off_compaction(struct kvstore *store);

/* Begins a read: the pair is up to date with the log, and stays open until
 * kv_store_end_read(). */
kvstore_status kv_store_begin_read(struct kvstore *store);
void kv_store_end_read(struct kvstore *store) KV_READING;

/* Reads the totals of the pair. are_exact_out: false if they are not those of
 * one moment, since a process is publishing for long, or has died. */
struct kv_table_totals kv_store_totals(const struct kvstore *store,
                                       bool *are_exact_out) KV_READING;

/* For a reader past the gate: takes the writers' lock if it is free, and follows
 * with it. is_done_out: false if another process has it, or is in the way of a
 * new index, and there may be another try. */
kvstore_status kv_store_try_to_follow(struct kvstore *store,
                                      bool *is_done_out) KV_GATED;

/* The same with the lock, for which it waits; makes the index whole for all. */
kvstore_status kv_store_follow_with_lock(struct kvstore *store,
                                         int64_t deadline_ns) KV_GATED;

/* Fails if the log goes on after what was applied, because a failed append
 * could not be cut off again. */
kvstore_status kv_store_check_end(const struct kvstore *store) KV_LOCKED;

/* Tells the program what this call, or another, has met. At the end of each
 * public call, when it holds no lock. */
static inline void kv_store_tell_warnings(const struct kvstore *store)
{
    struct kv_warnings *warnings = &kv_store_own(store)->warnings;
    if (atomic_load_explicit(&warnings->are_due, memory_order_relaxed) &&
        !kv_fork_guard_is_child(&store->guard)) {
        kv_warnings_tell(warnings);
    }
}

/* Closes what the pair holds. */
void kv_store_unload(struct kvstore *store);

#endif
