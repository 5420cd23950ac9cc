/* SPDX-License-Identifier: MIT */

/* When a store is compacted, and by which thread: that of the call that makes
 * it due, one in the background, or that of the call that asks for it.
 *
 * Invariants:
 * 1. One compaction or repair of a handle at a time: the thread that begins one
 *    is past the compactor's gate. Of all handles and processes, the lock on
 *    store.log.compact lets one in.
 * 2. One that fails is noted in the index, so that no handle tries again until
 *    as many more bytes are stale as the threshold says.
 * 3. The thread is joined before its handle is freed. It gives up a long copy
 *    for that; the old log is the store as before. */

#include "store/compact.h"

#include "index/table.h"
#include "log/fold.h"
#include "os/error.h"
#include "os/gate.h"
#include "os/system.h"
#include "store/compaction.h"
#include "store/handle.h"
#include "store/lock.h"
#include "store/rewrite.h"
#include "store/store.h"

#include <assert.h>
#include <stdatomic.h>

/* How long a handle leaves it to others that were already compacting. */
#define OTHERS_TURN_NS INT64_C(100000000)

/* How often a call that waits for them checks whether they are done. */
#define OTHERS_PAUSE_NS INT64_C(5000000)

/* --- When --- */

/* True if one failed when nearly as many bytes were stale. A note that more
 * were stale is not about this log. */
static bool has_just_failed(const kvstore *store,
                            const struct kv_table_totals *totals,
                            uint64_t threshold_bytes)
{
    uint64_t failed_at = atomic_load(&store->index.table.header->failed_at);
    uint64_t stale_bytes = totals->counts.stale_bytes;
    return failed_at != 0 && failed_at <= stale_bytes &&
           stale_bytes - failed_at < threshold_bytes;
}

static bool is_compaction_due(const kvstore *store,
                              const struct kv_table_totals *totals)
{
    const struct kv_compactor *compactor = &store->compactor;
    uint64_t threshold_bytes = atomic_load(&compactor->threshold_bytes);
    return kv_compaction_is_due(&totals->counts,
                                totals->applied,
                                threshold_bytes,
                                compactor->threshold_percent) &&
           !has_just_failed(store, totals, threshold_bytes);
}

bool kv_store_is_compaction_due(const kvstore *store)
{
    return store->compactor.mode != KVSTORE_COMPACT_MANUAL &&
           is_compaction_due(store, &store->index.totals);
}

/* --- Past the compactor's gate --- */

kvstore_status kv_store_enter_compactor(kvstore *store, int32_t timeout_ms)
{
    struct kv_gate_waiter waiter = {.has_work = false};
    kvstore_status status = kv_store_check_process(store);
    if (status == KVSTORE_OK) {
        status = kv_gate_enter(
            &store->compactor.gate, &waiter, kv_store_deadline(timeout_ms));
    }
    return status == KVSTORE_BUSY
               ? kv_fail(KVSTORE_BUSY,
                         "busy: another thread compacts the store")
               : status;
}

void kv_store_leave_compactor(kvstore *store)
{
    kv_gate_leave(&store->compactor.gate);
}

static void note_compaction(kvstore *store, kvstore_status status)
{
    if (status == KVSTORE_BUSY) {
        atomic_store(&store->compactor.not_before_ns,
                     kv_io_clock_coarse_ns() + OTHERS_TURN_NS);
    } else if (status == KVSTORE_COMPACTION_FAILED || status == KVSTORE_IO ||
               status == KVSTORE_NO_MEMORY) {
        kv_store_put_off_compaction(store);
    }
}

static kvstore_status compact(kvstore *store,
                              const struct kv_progress *progress,
                              const atomic_bool *is_given_up)
{
    kvstore_status status = kv_store_compact(store, progress, is_given_up);
    note_compaction(store, status);
    return status;
}

/* --- Which thread --- */

/* Waits a little. True if there was time for that. */
static bool waits_until(int64_t deadline_ns)
{
    bool is_early = kv_io_clock_ns() + OTHERS_PAUSE_NS < deadline_ns;
    if (is_early) {
        kv_io_sleep_ns(OTHERS_PAUSE_NS);
    }
    return is_early;
}

/* Compacts in the calling thread. If others are compacting, waits for them. */
static kvstore_status compact_here(kvstore *store, int32_t timeout_ms)
{
    int64_t deadline_ns = kv_store_deadline(timeout_ms);
    kvstore_status status = kv_store_enter_compactor(store, timeout_ms);
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_error_hold();
    do {
        status = compact(store, &store->progress, NULL);
    } while (status == KVSTORE_BUSY && waits_until(deadline_ns));
    kv_store_leave_compactor(store);
    /* One that succeeds may have started over, or waited. */
    return kv_error_release_after(status);
}

static void *run_thread(void *context)
{
    kvstore *store = context;
    if (kv_store_enter_compactor(store, 0) == KVSTORE_OK) {
        (void)compact(store, NULL, &store->compactor.is_closing);
        kv_store_leave_compactor(store);
    }
    assert(!kv_error_is_held());
    atomic_store(&store->compactor.is_running, false);
    return NULL;
}

static void start_thread(kvstore *store)
{
    struct kv_compactor *compactor = &store->compactor;
    (void)pthread_mutex_lock(&compactor->mutex);
    if (!atomic_load(&compactor->is_running)) {
        if (compactor->has_thread) {
            (void)pthread_join(compactor->thread, NULL);
        }
        atomic_store(&compactor->is_running, true);
        compactor->has_thread =
            kv_io_start_thread(&compactor->thread, run_thread, store) ==
            KVSTORE_OK;
        atomic_store(&compactor->is_running, compactor->has_thread);
        if (!compactor->has_thread) {
            note_compaction(store, KVSTORE_NO_MEMORY);
        }
    }
    (void)pthread_mutex_unlock(&compactor->mutex);
}

void kv_store_compact_when_due(kvstore *store)
{
    struct kv_compactor *compactor = &store->compactor;
    if (atomic_load(&compactor->is_running) ||
        kv_io_clock_coarse_ns() < atomic_load(&compactor->not_before_ns)) {
        return;
    }
    kv_error_hold();
    if (compactor->mode == KVSTORE_COMPACT_BACKGROUND) {
        start_thread(store);
    } else {
        (void)compact_here(store, 0);
    }
    kv_error_release();
}

void kv_store_stop_compacting(kvstore *store)
{
    struct kv_compactor *compactor = &store->compactor;
    atomic_store(&compactor->is_closing, true);
    if (compactor->has_thread) {
        (void)pthread_join(compactor->thread, NULL);
        compactor->has_thread = false;
    }
}

/* --- The calls --- */

kvstore_status kvstore_compact(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    return compact_here(store, store->lock_timeout_ms);
}

kvstore_status kvstore_compact_if_due(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    struct kv_table_totals totals;
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_store_totals(store, &totals);
    bool is_due = status == KVSTORE_OK && is_compaction_due(store, &totals);
    kv_store_end_read(store);
    return is_due ? compact_here(store, 0) : status;
}
