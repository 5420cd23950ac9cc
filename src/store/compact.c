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
#include "os/cancel.h"
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

/* True if one failed when nearly as many bytes were stale or might expire. A note
 * that more were is not about this log. */
static bool has_just_failed(const kvstore *store,
                            const struct kv_table_totals *totals,
                            uint64_t threshold_bytes)
{
    uint64_t failed_at = atomic_load(&store->index.table.header->failed_at);
    uint64_t bytes = kv_store_doubtful_bytes(totals);
    return failed_at != 0 && failed_at <= bytes &&
           bytes - failed_at < threshold_bytes;
}

bool kv_store_would_compact(const kvstore *store,
                            const struct kv_table_totals *totals)
{
    const struct kv_compactor *compactor = &store->compactor;
    uint64_t threshold_bytes = atomic_load(&compactor->threshold_bytes);
    const struct kv_compaction_terms terms = {
        .threshold_bytes = threshold_bytes,
        .threshold_percent = compactor->threshold_percent,
        .kept = atomic_load(&store->index.table.header->kept)};
    return kv_compaction_is_due(&totals->counts, totals->applied, &terms) &&
           !has_just_failed(store, totals, threshold_bytes);
}

bool kv_store_is_compaction_due(const kvstore *store)
{
    return store->compactor.mode != KVSTORE_COMPACT_MANUAL &&
           kv_store_would_compact(store, &store->index.totals);
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

/* Tells what no caller is told. One that was given up, or left to others, is
 * no failure. */
static void note_failed(kvstore *store, kvstore_status status)
{
    if (status == KVSTORE_COMPACTION_FAILED || status == KVSTORE_IO ||
        status == KVSTORE_NO_MEMORY) {
        kv_warnings_note(&store->warnings,
                         "a compaction that was due has failed: %s",
                         kvstore_last_error()->message);
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
    int cancel = kv_cancel_hold();
    kvstore_status status = kv_store_enter_compactor(store, timeout_ms);
    if (status == KVSTORE_OK) {
        kv_error_hold();
        do {
            status = compact(store, &store->progress, NULL);
        } while (status == KVSTORE_BUSY && waits_until(deadline_ns));
        kv_store_leave_compactor(store);
        /* One that succeeds may have started over, or waited. */
        status = kv_error_release_after(status);
    }
    kv_cancel_release(cancel);
    return status;
}

static void *run_thread(void *context)
{
    kvstore *store = context;
    if (kv_store_enter_compactor(store, 0) == KVSTORE_OK) {
        note_failed(store, compact(store, NULL, &store->compactor.is_closing));
        kv_store_leave_compactor(store);
    }
    assert(!kv_error_is_held());
    kv_store_tell_warnings(store);
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
        kvstore_status status =
            kv_io_start_thread(&compactor->thread, run_thread, store);
        compactor->has_thread = status == KVSTORE_OK;
        atomic_store(&compactor->is_running, compactor->has_thread);
        note_compaction(store, status);
        note_failed(store, status);
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
        note_failed(store, compact_here(store, 0));
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
    kvstore_status status = compact_here(store, store->lock_timeout_ms);
    kv_store_tell_warnings(store);
    return status;
}

kvstore_status kvstore_compact_if_due(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    bool are_exact = false;
    struct kv_table_totals totals = kv_store_totals(store, &are_exact);
    bool is_due = are_exact && kv_store_would_compact(store, &totals);
    kv_store_end_read(store);
    if (is_due) {
        status = compact_here(store, 0);
    }
    kv_store_tell_warnings(store);
    return status;
}
