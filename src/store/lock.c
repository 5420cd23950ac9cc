/* SPDX-License-Identifier: MIT */

/* The gate, the writers' lock, its holder's signature, the writers' pace. */

#include "store/lock.h"

#include "index/table.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/holder.h"
#include "os/lock.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/pair.h"

#include <inttypes.h>

#define NS_PER_MS INT64_C(1000000)

/* A process that tried for the lock this recently is still waiting; and gets it
 * if no other tries for this long. */
#define RECENTLY_NS (8 * NS_PER_MS)
#define YIELD_NS (2 * NS_PER_MS)

/* How long a writer that was asked to slow down waits at each write; and the
 * longest time for which it is asked. */
#define PACE_NS NS_PER_MS
#define SLOW_NS_MAX (60000 * NS_PER_MS)

/* --- The gate --- */

int64_t kv_store_deadline(int32_t timeout_ms)
{
    return timeout_ms == INT32_MAX ? KV_GATE_NO_DEADLINE
                                   : kv_io_clock_ns() + timeout_ms * NS_PER_MS;
}

kvstore_status kv_store_enter_gate(struct kvstore *store,
                                   struct kv_gate_waiter *waiter,
                                   int64_t deadline_ns)
{
    const atomic_bool *is_compactor = &store->compactor.is_behind_gate;
    bool was_compactor = atomic_load(is_compactor);
    kvstore_status status = kv_gate_enter(&store->gate, waiter, deadline_ns);
    if (status == KVSTORE_BUSY &&
        (was_compactor || atomic_load(is_compactor))) {
        /* A compaction is there for a moment, unknown to the program. */
        status = kv_gate_enter(&store->gate,
                               waiter,
                               kv_store_deadline(KV_LOCK_TIMEOUT_MS_DEFAULT));
    }
    return status == KVSTORE_BUSY
               ? kv_fail(KVSTORE_BUSY, "busy: another thread is writing")
               : status;
}

kvstore_status kv_store_enter_gate_to_write(struct kvstore *store,
                                            struct kv_gate_waiter *waiter,
                                            int32_t timeout_ms,
                                            int64_t *deadline_ns_out)
{
    *deadline_ns_out = KV_GATE_NO_DEADLINE;
    if (store->is_exclusive && kv_gate_try_enter(&store->gate)) {
        return KVSTORE_OK;
    }
    *deadline_ns_out = kv_store_deadline(timeout_ms);
    return kv_store_enter_gate(store, waiter, *deadline_ns_out);
}

void kv_store_leave_gate(struct kvstore *store)
{
    if (!kv_store_has_old(store)) {
        kv_gate_leave(&store->gate);
        return;
    }
    struct kv_pair old = kv_store_take_old(store);
    kv_gate_leave(&store->gate);
    kv_pair_close(&old);
}

/* --- The writers' lock; past the gate --- */

/* Names the process that holds the lock, as far as the index knows, if the
 * system says the same: the index may be wrong, because of a holder that died,
 * or of any process that may write it, and people kill processes because of
 * this message. */
static kvstore_status name_holder(const struct kvstore *store)
{
    if (!store->index.is_shared) {
        return KVSTORE_BUSY;
    }
    const struct kv_table_header *header = store->index.table.header;
    uint64_t pid = atomic_load(&header->holder_pid);
    int64_t since_ns = (int64_t)atomic_load(&header->holder_since);
    int64_t held_ms = (kv_io_clock_ns() - since_ns) / NS_PER_MS;
    if (pid == 0 || held_ms < 0 ||
        !kv_io_is_locked_by(&store->directory, pid)) {
        return KVSTORE_BUSY;
    }
    return kv_fail(KVSTORE_BUSY,
                   "busy: process %" PRIu64 " has held the lock for %" PRId64
                   ".%03" PRId64 " s",
                   pid,
                   held_ms / 1000,
                   held_ms % 1000);
}

bool kv_store_holder_lives(const struct kvstore *store)
{
    if (!store->index.is_shared) {
        return false;
    }
    uint64_t pid = atomic_load(&store->index.table.header->holder_pid);
    return pid != 0 && kv_io_is_locked_by(&store->directory, pid);
}

static bool is_signed(const struct kvstore *store)
{
    return !store->index.is_shared ||
           atomic_load(&store->index.table.header->holder_pid) ==
               store->process_id;
}

void kv_store_sign_as_holder(const struct kvstore *store)
{
    if (store->index.is_shared && store->index.memory.is_writable) {
        struct kv_table_header *header = store->index.table.header;
        atomic_store_explicit(
            &header->holder_pid, store->process_id, memory_order_relaxed);
        atomic_store_explicit(&header->holder_since,
                              (uint64_t)kv_io_clock_coarse_ns(),
                              memory_order_relaxed);
        /* The one before may have died while it folded. */
        atomic_store_explicit(&header->holder_folds, 0, memory_order_relaxed);
    }
}

/* Notes that from now on no process has the lock. */
static void take_signature_back(const struct kvstore *store)
{
    if (store->index.is_shared && store->index.memory.is_writable) {
        atomic_store_explicit(
            &store->index.table.header->holder_pid, 0, memory_order_relaxed);
    }
}

kvstore_status kv_store_lock_writers(struct kvstore *store, int64_t deadline_ns)
{
    if (store->is_exclusive) {
        if (!is_signed(store)) {
            kv_store_sign_as_holder(store);
        }
        return KVSTORE_OK; /* Held since the store was opened. */
    }
    int32_t timeout_ms = INT32_MAX;
    if (deadline_ns != KV_GATE_NO_DEADLINE) {
        int64_t left_ms = (deadline_ns - kv_io_clock_ns()) / NS_PER_MS;
        timeout_ms = left_ms > 0 ? (int32_t)left_ms : 0;
    }
    if (store->must_yield) {
        store->must_yield = false;
        kv_io_sleep_ns(YIELD_NS);
    }
    bool is_shared = store->index.is_shared && store->index.memory.is_writable;
    kvstore_status status =
        kv_io_lock(&store->directory,
                   timeout_ms,
                   is_shared ? &store->index.table.header->waiting : NULL);
    if (status == KVSTORE_BUSY) {
        return name_holder(store);
    }
    if (status == KVSTORE_OK) {
        kv_store_sign_as_holder(store);
    }
    return status;
}

void kv_store_unlock_writers(struct kvstore *store)
{
    if (store->is_exclusive) {
        return;
    }
    take_signature_back(store);
    kv_io_unlock(&store->directory);
    if (store->index.is_shared) {
        int64_t waiting_ns =
            (int64_t)atomic_load(&store->index.table.header->waiting);
        int64_t now_ns = kv_io_clock_coarse_ns();
        store->must_yield =
            waiting_ns <= now_ns && now_ns - waiting_ns < RECENTLY_NS;
    }
}

void kv_store_keep_pace(const struct kvstore *store)
{
    if (!store->index.is_shared) {
        return;
    }
    const struct kv_table_header *header = store->index.table.header;
    uint64_t until_ns =
        atomic_load_explicit(&header->slow_until, memory_order_relaxed);
    if (until_ns == 0) {
        return;
    }
    /* A time that was never set here is far ahead, or long past. */
    uint64_t left_ns = until_ns - (uint64_t)kv_io_clock_coarse_ns();
    if (left_ns <= SLOW_NS_MAX) {
        kv_io_sleep_ns(PACE_NS);
    }
}

void kv_store_slow_writers(struct kvstore *store, int64_t ns)
{
    kv_reader_lock_read(&store->reader_lock);
    if (store->index.is_shared && store->index.memory.is_writable) {
        int64_t limited_ns = ns < SLOW_NS_MAX ? ns : SLOW_NS_MAX;
        uint64_t until_ns =
            ns == 0 ? 0 : (uint64_t)(kv_io_clock_coarse_ns() + limited_ns);
        atomic_store_explicit(&store->index.table.header->slow_until,
                              until_ns,
                              memory_order_relaxed);
    }
    kv_reader_lock_end_read(&store->reader_lock);
}
