/* SPDX-License-Identifier: MIT */

/* The locks around an open store, and how it follows its log.
 *
 * Invariants:
 * 1. Order of locks: gate, writers' lock (flock on the directory), view.
 * 2. Whoever holds the writers' lock has looked the log up by name after taking
 *    it, so no record goes into a file that a compaction has replaced.
 * 3. The log's end is mended before anything is appended.
 * 4. Readers take no lock but the view's, and never cut. Without the writers'
 *    lock a fold that meets damage is believed only when a second one, a moment
 *    later, meets the same: the first may have run into a writer that was
 *    mending the end.
 * 5. A failed sync is not tried again.
 * 6. Whoever gave the log its name, by creating or compacting it, may have died
 *    before the directory was synced. So a handle that did not do it itself
 *    syncs the directory before it acknowledges anything as durable there. */

#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "bounds.h"
#include "error.h"
#include "fold.h"
#include "recovery.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define BELIEF_PAUSE_NS (2 * NS_PER_MS)
#define BELIEF_TRIES 5

static kvstore_status fail_poisoned(void)
{
    return kv_fail(KVSTORE_IO,
                   "a sync of %s has failed: it takes no writes until it has "
                   "been compacted",
                   KV_LOG_NAME);
}

/* --- Following the log; the view is held for writing --- */

static bool agree(const struct kv_keydir *a, const struct kv_keydir *b)
{
    const struct kv_index_counts *x = &a->index.header->counts;
    const struct kv_index_counts *y = &b->index.header->counts;
    return x->damaged_records == y->damaged_records &&
           x->damaged_bytes == y->damaged_bytes &&
           x->damaged_offset == y->damaged_offset;
}

/* Builds a keydir from the log that is open, until two agree (Invariant 4). */
static kvstore_status build_keydir(const struct kvstore *store,
                                   bool is_locked,
                                   struct kv_keydir *keydir_out,
                                   struct kv_fold_result *result_out)
{
    struct kv_keydir earlier = KV_KEYDIR_NONE;
    for (int i = 0;; i++) {
        struct kv_io_stat stat;
        kvstore_status status = kv_io_stat(&store->log.file, &stat);
        if (status == KVSTORE_OK) {
            status = kv_recovery_build(
                &store->log, stat.size, keydir_out, result_out);
        }
        bool is_believed =
            status != KVSTORE_OK || is_locked || i == BELIEF_TRIES ||
            keydir_out->index.header->counts.damaged_records == 0 ||
            (earlier.region != NULL && agree(&earlier, keydir_out));
        kv_keydir_release(&earlier);
        if (is_believed) {
            return status;
        }
        earlier = *keydir_out;
        *keydir_out = KV_KEYDIR_NONE;
        kv_io_sleep_ns(BELIEF_PAUSE_NS);
    }
}

static kvstore_status rebuild(struct kvstore *store,
                              bool is_locked,
                              struct kv_fold_result *result_out)
{
    struct kv_keydir keydir;
    kvstore_status status =
        build_keydir(store, is_locked, &keydir, result_out);
    if (status == KVSTORE_OK) {
        kv_keydir_release(&store->keydir);
        store->keydir = keydir;
        atomic_store(&store->synced, 0);
    }
    return status;
}

/* Another process has compacted: opens the log that now has the name. */
static kvstore_status reopen(struct kvstore *store,
                             bool is_locked,
                             struct kv_fold_result *result_out)
{
    struct kv_log old = store->log;
    kvstore_status status =
        kv_log_open(&store->directory, !store->is_read_only, &store->log);
    if (status == KVSTORE_NOT_FOUND) {
        status = kv_fail_errno(KVSTORE_IO, ENOENT, "%s is gone", KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        status = rebuild(store, is_locked, result_out);
    }
    if (status != KVSTORE_OK) {
        kv_log_close(&store->log);
        store->log = old;
        return status;
    }
    kv_log_close(&old);
    atomic_store(&store->is_poisoned, false);
    atomic_store(&store->owes_directory, true);
    return KVSTORE_OK;
}

/* Folds what the log has gained, or all of it if it is not what it was. */
static kvstore_status follow_growth(struct kvstore *store,
                                    uint64_t size,
                                    bool is_locked,
                                    struct kv_fold_result *result_out)
{
    const struct kv_index_header *header = store->keydir.index.header;
    bool matches = header->applied <= size && !header->is_in_doubt;
    if (matches) {
        kvstore_status status =
            kv_keydir_matches(&store->keydir, &store->log, &matches);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    if (!matches) {
        return rebuild(store, is_locked, result_out);
    }
    uint64_t damage_before = header->counts.damaged_records;
    kvstore_status status = kv_recovery_catch_up(
        &store->log, size, &store->keydir, result_out);
    header = store->keydir.index.header;
    bool met_damage = header->counts.damaged_records != damage_before;
    if (status == KVSTORE_OK && met_damage && !is_locked) {
        return rebuild(store, is_locked, result_out);
    }
    return status;
}

/* The view holds all of a log of this size. The newline that the last line
 * lacks is counted already. */
static bool has_all(const struct kvstore *store, uint64_t size)
{
    const struct kv_index_header *header = store->keydir.index.header;
    return header->applied == size && !header->is_in_doubt;
}

/* Makes the log's end what a fold of it has found, and durable: unless nothing
 * will be appended to this log any more, because a sync of it has failed. What
 * a newer version wrote is not ours to mend. */
static kvstore_status settle(struct kvstore *store,
                             uint64_t size,
                             const struct kv_fold_result *result)
{
    if (store->keydir.index.header->counts.unknown_records > 0) {
        return KVSTORE_OK;
    }
    kvstore_status status =
        kv_recovery_settle(&store->log, &store->directory, size, result);
    bool has_changed = result->is_torn || result->is_unterminated;
    if (status != KVSTORE_OK || !has_changed ||
        atomic_load(&store->is_poisoned)) {
        return status;
    }
    return kv_handle_sync(store, result->offset);
}

/* Brings the view up with the log. With the writers' lock, also mends the
 * log's end. */
static kvstore_status follow(struct kvstore *store, bool is_locked)
{
    bool is_current = false;
    uint64_t size = 0;
    kvstore_status status =
        kv_log_look(&store->log, &store->directory, &is_current, &size);
    if (status != KVSTORE_OK || (is_current && has_all(store, size))) {
        return status;
    }
    struct kv_fold_result result;
    const struct kv_index_header *header = store->keydir.index.header;
    if (!is_current) {
        status = reopen(store, is_locked, &result);
    } else if (header->applied == size + 1 && !header->is_in_doubt) {
        result = (struct kv_fold_result){.offset = header->applied,
                                         .is_unterminated = true};
    } else {
        status = follow_growth(store, size, is_locked, &result);
    }
    if (status == KVSTORE_OK && is_locked && !is_current) {
        struct kv_io_stat stat;
        status = kv_io_stat(&store->log.file, &stat);
        size = stat.size;
    }
    if (status == KVSTORE_OK && is_locked) {
        status = settle(store, size, &result);
    }
    return status;
}

kvstore_status kv_handle_load(struct kvstore *store)
{
    struct kv_fold_result result;
    return rebuild(store, false, &result);
}

/* --- Writing --- */

/* Waits until the gate is free, or the deadline has passed. The gate's mutex is
 * held. */
static void await_gate(struct kvstore *store, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    int result = 0;
    while (store->is_gate_taken && result == 0) {
        result = store->lock_timeout_ms == INT32_MAX
                     ? pthread_cond_wait(&store->gate_opened,
                                         &store->gate_mutex)
                     : pthread_cond_timedwait(&store->gate_opened,
                                              &store->gate_mutex,
                                              &deadline);
    }
}

static kvstore_status enter_gate(struct kvstore *store, int64_t deadline_ns)
{
    (void)pthread_mutex_lock(&store->gate_mutex);
    if (store->is_gate_taken) {
        await_gate(store, deadline_ns);
    }
    bool is_ours = !store->is_gate_taken;
    store->is_gate_taken = true;
    (void)pthread_mutex_unlock(&store->gate_mutex);
    return is_ours ? KVSTORE_OK
                   : kv_fail(KVSTORE_BUSY,
                             "busy: another thread is writing");
}

static void leave_gate(struct kvstore *store)
{
    (void)pthread_mutex_lock(&store->gate_mutex);
    assert(store->is_gate_taken);
    store->is_gate_taken = false;
    (void)pthread_cond_signal(&store->gate_opened);
    (void)pthread_mutex_unlock(&store->gate_mutex);
}

/* The writers' lock, in the time that is left. */
static kvstore_status lock_writers(struct kvstore *store, int64_t deadline_ns)
{
    if (store->is_exclusive) {
        return KVSTORE_OK; /* Held since the store was opened. */
    }
    int32_t timeout_ms = store->lock_timeout_ms;
    if (timeout_ms != 0 && timeout_ms != INT32_MAX) {
        int64_t left_ms = (deadline_ns - kv_io_clock_ns()) / NS_PER_MS;
        timeout_ms = left_ms > 0 ? (int32_t)left_ms : 0;
    }
    return kv_io_lock(&store->directory, timeout_ms);
}

static void unlock_writers(struct kvstore *store)
{
    if (!store->is_exclusive) {
        kv_io_unlock(&store->directory);
    }
}

/* Brings an open view up under the lock, and sees whether it may be written. */
static kvstore_status follow_to_write(struct kvstore *store,
                                      bool takes_poisoned)
{
    kvstore_status status = KVSTORE_OK;
    (void)pthread_rwlock_wrlock(&store->view_lock);
    if (!atomic_load(&store->is_end_known)) {
        status = follow(store, true);
        atomic_store(&store->is_end_known,
                     store->is_exclusive && status == KVSTORE_OK);
    }
    uint64_t unknown = store->keydir.index.header->counts.unknown_records;
    (void)pthread_rwlock_unlock(&store->view_lock);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (unknown > 0) {
        return kv_fail(KVSTORE_UNSUPPORTED,
                       "%s was written by a newer version: it can only be "
                       "read",
                       KV_LOG_NAME);
    }
    if (!takes_poisoned && atomic_load(&store->is_poisoned)) {
        return fail_poisoned();
    }
    return store->is_durable && !takes_poisoned
               ? kv_handle_pay_directory(store)
               : KVSTORE_OK;
}

kvstore_status kv_handle_begin_write(struct kvstore *store,
                                     bool takes_poisoned)
{
    if (kv_fork_guard_is_child(&store->guard)) {
        return kv_fail(KVSTORE_INVALID,
                       "a store cannot be used in a child of fork");
    }
    if (store->is_read_only) {
        return kv_fail(KVSTORE_READ_ONLY, "the store was opened read-only");
    }
    int64_t deadline_ns =
        kv_io_clock_ns() + store->lock_timeout_ms * NS_PER_MS;
    kvstore_status status = enter_gate(store, deadline_ns);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = lock_writers(store, deadline_ns);
    if (status == KVSTORE_OK) {
        status = follow_to_write(store, takes_poisoned);
        if (status != KVSTORE_OK) {
            unlock_writers(store);
        }
    }
    if (status != KVSTORE_OK) {
        leave_gate(store);
    }
    return status;
}

void kv_handle_end_write(struct kvstore *store)
{
    unlock_writers(store);
    leave_gate(store);
}

/* --- Reading --- */

/* Is the view up with the log? An exclusive handle may know. */
static kvstore_status is_up(const struct kvstore *store, bool *is_up_out)
{
    *is_up_out = false;
    bool is_current = true;
    uint64_t size = store->keydir.index.header->applied;
    if (!atomic_load(&store->is_end_known)) {
        kvstore_status status =
            kv_log_look(&store->log, &store->directory, &is_current, &size);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    const struct kv_index_header *header = store->keydir.index.header;
    *is_up_out = is_current &&
                 (has_all(store, size) ||
                  (header->applied == size + 1 && !header->is_in_doubt));
    return KVSTORE_OK;
}

kvstore_status kv_handle_begin_read(struct kvstore *store)
{
    if (kv_fork_guard_is_child(&store->guard)) {
        return kv_fail(KVSTORE_INVALID,
                       "a store cannot be used in a child of fork");
    }
    bool is_view_up = false;
    (void)pthread_rwlock_rdlock(&store->view_lock);
    kvstore_status status = is_up(store, &is_view_up);
    if (status == KVSTORE_OK && is_view_up) {
        return KVSTORE_OK;
    }
    (void)pthread_rwlock_unlock(&store->view_lock);
    if (status != KVSTORE_OK) {
        return status;
    }
    (void)pthread_rwlock_wrlock(&store->view_lock);
    status = follow(store, false);
    if (status != KVSTORE_OK) {
        (void)pthread_rwlock_unlock(&store->view_lock);
    }
    return status;
}

void kv_handle_end_read(struct kvstore *store)
{
    (void)pthread_rwlock_unlock(&store->view_lock);
}

kvstore_status kv_handle_rebuild(struct kvstore *store)
{
    struct kv_fold_result result;
    (void)pthread_rwlock_wrlock(&store->view_lock);
    kvstore_status status = rebuild(store, false, &result);
    (void)pthread_rwlock_unlock(&store->view_lock);
    return status;
}

/* --- Syncing --- */

kvstore_status kv_handle_sync(struct kvstore *store, uint64_t end)
{
    if (atomic_load(&store->is_poisoned)) {
        return fail_poisoned();
    }
    kvstore_status status = kv_io_sync_data(&store->log.file);
    if (status != KVSTORE_OK) {
        atomic_store(&store->is_poisoned, true);
    } else if (atomic_load(&store->synced) < end) {
        atomic_store(&store->synced, end);
    }
    return status;
}

kvstore_status kv_handle_ensure_synced(struct kvstore *store, uint64_t end)
{
    if (!store->is_durable || end <= atomic_load(&store->synced) ||
        atomic_load(&store->is_poisoned)) {
        return KVSTORE_OK;
    }
    return kv_handle_sync(store, store->keydir.index.header->applied);
}

kvstore_status kv_handle_pay_directory(struct kvstore *store)
{
    if (!atomic_load(&store->owes_directory)) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_io_sync(&store->directory);
    if (status == KVSTORE_OK) {
        atomic_store(&store->owes_directory, false);
    } else {
        atomic_store(&store->is_poisoned, true);
    }
    return status;
}
