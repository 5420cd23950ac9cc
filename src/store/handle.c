/* SPDX-License-Identifier: MIT */

/* The locks around an open store.
 *
 * Invariants:
 * 1. Order of locks: gate, writers' lock (flock on the directory), pair. The
 *    writers' lock belongs to a descriptor that all threads share, so only the
 *    thread past the gate may take it.
 * 2. The pair is replaced only past the gate.
 * 3. A writer brings the pair up to date after it has taken the writers' lock,
 *    so no record goes into a file that has been replaced.
 * 4. A failed sync is not tried again. */

#include "store/handle.h"

#include "log/log.h"
#include "os/bounds.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/file.h"
#include "os/fork.h"
#include "os/lock.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/lock.h"
#include "store/mend.h"
#include "store/pair.h"
#include "store/private.h"
#include "store/shared.h"
#include "store/sync.h"
#include "store/writable.h"

#define NS_PER_MS INT64_C(1000000)

/* How long a reader waits before it checks whether a switch is over: longer
 * each time. */
#define FIRST_PAUSE_NS (NS_PER_MS / 4)
#define LONGEST_PAUSE_NS (8 * NS_PER_MS)

/* How often a writer starts over because a program appends without the lock. */
#define FOLLOW_TRIES 100

/* --- Bringing the pair up to date for a reader; past the gate --- */

kvstore_status kv_store_follow_with_lock(struct kvstore *store,
                                         int64_t deadline_ns)
{
    bool is_whole = false;
    kvstore_status status = kv_store_lock_writers(store, deadline_ns);
    if (status == KVSTORE_OK) {
        status =
            kv_store_follow_locked(store, KV_ALONE_TO_READ, true, &is_whole);
        kv_store_unlock_writers(store);
    }
    return status;
}

/* There are lines after those of a trusted index. If the lock is free, a writer
 * has died, or they were appended by hand. If a process has it, they are not
 * acknowledged yet; but if that process is folding, all will soon see them. */
static kvstore_status take_lines_along(struct kvstore *store,
                                       int64_t deadline_ns)
{
    bool is_locked = false;
    bool is_whole = false;
    if (store->is_exclusive) {
        return kv_store_follow_locked(store, KV_ALONE_TO_READ, true, &is_whole);
    }
    if (store->is_read_only) {
        return KVSTORE_OK;
    }
    const struct kv_table_header *header = store->index.table.header;
    kvstore_status status = kv_io_try_lock(&store->directory, &is_locked);
    if (status == KVSTORE_OK && is_locked) {
        kv_store_sign_as_holder(store);
        status =
            kv_store_follow_locked(store, KV_ALONE_TO_READ, true, &is_whole);
        kv_store_unlock_writers(store);
    } else if (status == KVSTORE_OK &&
               atomic_load(&header->holder_folds) != 0) {
        status = kv_store_follow_with_lock(store, deadline_ns);
        if (status == KVSTORE_BUSY) {
            /* No other handle sees them either. */
            status = KVSTORE_OK;
        }
    }
    return status;
}

kvstore_status kv_store_try_to_follow(struct kvstore *store, bool *is_done_out)
{
    bool is_locked = store->is_exclusive;
    bool is_whole = false;
    kvstore_status status = KVSTORE_OK;
    *is_done_out = false;
    if (!is_locked) {
        status = kv_io_try_lock(&store->directory, &is_locked);
    }
    if (status != KVSTORE_OK || !is_locked) {
        return status;
    }
    status = kv_store_follow_locked(store, KV_ALONE_TO_READ, true, &is_whole);
    kv_store_unlock_writers(store);
    *is_done_out = status == KVSTORE_OK;
    return status == KVSTORE_BUSY ? KVSTORE_OK : status;
}

/* True if it is time to fold the log alone, where no index can be trusted. All
 * wait a moment: others may be using an index that has lost its name, and not
 * yet see what a fold of the log finds. A handle that may write waits for the
 * lock, too. */
static bool goes_alone(const struct kvstore *store,
                       int64_t begun_ns,
                       int64_t deadline_ns)
{
    int64_t now_ns = kv_io_clock_ns();
    return now_ns - begun_ns >= KV_GRACE_NS &&
           (store->is_read_only || now_ns >= deadline_ns);
}

/* True if the handle has folded the log by itself. */
static bool is_private(const struct kvstore *store)
{
    return store->index.memory.region != NULL && !store->index.is_shared;
}

/* Opens the pair by name. Where no index can be trusted, another process is
 * switching and soon done; or one must be built, by the first to get the lock;
 * or, if neither happens in time, this handle goes on alone. may_give_up: one
 * try for the lock is enough, and the pair may be left as it is. */
static kvstore_status bring_up(struct kvstore *store,
                               int64_t deadline_ns,
                               bool may_give_up)
{
    int64_t begun_ns = kv_io_clock_ns();
    /* What checks an index for itself alone and can be private does so once: to
     * follow the log then costs less. */
    bool may_check = !is_private(store);
    for (int64_t pause_ns = FIRST_PAUSE_NS;;) {
        enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
        bool has_more = false;
        kvstore_status status =
            kv_store_open_pair(store, may_check, &trust, &has_more);
        may_check = may_check && !store->is_read_only;
        if (status == KVSTORE_OK && has_more) {
            status = take_lines_along(store, deadline_ns);
        }
        bool is_up = trust == KV_INDEX_FILE_TRUSTED;
        if (status != KVSTORE_OK || is_up) {
            return status;
        }
        if (is_private(store) || trust == KV_INDEX_FILE_UNUSABLE) {
            return kv_store_follow_privately(store);
        }
        if (!store->is_read_only) {
            status = kv_store_try_to_follow(store, &is_up);
        }
        if (status != KVSTORE_OK || is_up || may_give_up) {
            return status;
        }
        if (goes_alone(store, begun_ns, deadline_ns)) {
            return kv_store_follow_privately(store);
        }
        kv_io_sleep_ns(pause_ns);
        pause_ns = pause_ns < LONGEST_PAUSE_NS ? pause_ns * 2 : pause_ns;
    }
}

/* A handle that may write waits for the lock only once: in its first call, not
 * here. An exclusive one has it. */
kvstore_status kv_store_load(struct kvstore *store)
{
    bool may_give_up = !store->is_read_only && !store->is_exclusive;
    kvstore_status status =
        bring_up(store, kv_store_deadline(store->lock_timeout_ms), may_give_up);
    struct kv_pair old = kv_store_take_old(store);
    kv_pair_close(&old);
    if (status == KVSTORE_OK && store->is_exclusive) {
        kv_store_sign_as_holder(store);
    }
    return status;
}

void kv_store_unload(struct kvstore *store)
{
    struct kv_pair old = kv_store_take_old(store);
    kv_pair_close(&old);
    kv_index_release(&store->index);
    kv_log_close(&store->log);
}

/* --- Writing --- */

kvstore_status kv_store_check_process(const struct kvstore *store)
{
    return kv_fork_guard_is_child(&store->guard)
               ? kv_fail(KVSTORE_INVALID,
                         "a store cannot be used in a child of fork")
               : KVSTORE_OK;
}

kvstore_status kv_store_check_end(const struct kvstore *store)
{
    uint64_t end = 0;
    uint64_t expected =
        kv_log_size_at(&store->log, store->index.totals.applied);
    kvstore_status status = kv_io_end(&store->log.file, &end);
    return status == KVSTORE_OK && end != expected
               ? kv_fail(KVSTORE_IO,
                         "what was not written whole cannot be cut off %s",
                         KV_LOG_NAME)
               : status;
}

/* Brings the pair up to date, and checks whether the store may be written.
 * needs_mending_out: the log may go on after the last line. */
static kvstore_status bring_up_to_write(struct kvstore *store,
                                        bool takes_poisoned,
                                        bool *needs_mending_out)
{
    bool is_whole = false;
    *needs_mending_out = false;
    /* What takes a poisoned log rewrites it. */
    enum kv_store_alone alone =
        takes_poisoned ? KV_ALONE_TO_REWRITE : KV_ALONE_NEVER;
    kvstore_status status =
        kv_store_follow_locked(store, alone, store->is_durable, &is_whole);
    if (status == KVSTORE_OK) {
        status = kv_store_check_writable(store, alone, &is_whole);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    if (kv_store_is_poisoned(store)) {
        /* Nothing is appended to it any more, so its end may stay as it is. */
        return takes_poisoned ? KVSTORE_OK : kv_store_fail_poisoned();
    }
    *needs_mending_out = !is_whole;
    return KVSTORE_OK;
}

/* What is appended by hand at that very moment is read first: it is not torn. */
kvstore_status kv_store_follow_to_write(struct kvstore *store,
                                        bool takes_poisoned)
{
    for (int i = 0; i < FOLLOW_TRIES; i++) {
        bool needs_mending = false;
        bool has_gained = false;
        kvstore_status status =
            bring_up_to_write(store, takes_poisoned, &needs_mending);
        if (status == KVSTORE_OK && needs_mending) {
            status = kv_store_mend(store, &has_gained);
            has_gained = has_gained ||
                         (status == KVSTORE_OK && !kv_store_note_rest(store));
        }
        if (!has_gained) {
            return status;
        }
    }
    return kv_fail(KVSTORE_BUSY,
                   "busy: a process that does not take the lock appends to %s",
                   KV_LOG_NAME);
}

void kv_store_put_off_compaction(struct kvstore *store)
{
    kv_reader_lock_read(&store->reader_lock);
    if (store->index.memory.is_writable) {
        bool are_exact = false;
        struct kv_table_totals totals = kv_store_totals(store, &are_exact);
        atomic_store(&store->index.table.header->failed_at,
                     kv_store_doubtful_bytes(&totals));
    }
    kv_reader_lock_end_read(&store->reader_lock);
}

kvstore_status kv_store_begin_write(struct kvstore *store,
                                    struct kv_gate_waiter *waiter,
                                    const struct kv_store_intent *intent)
{
    kvstore_status status = kv_store_check_process(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (store->is_read_only) {
        return kv_fail(KVSTORE_READ_ONLY, "the store was opened read-only");
    }
    int64_t deadline_ns = 0;
    status = kv_store_enter_gate_to_write(
        store, waiter, intent->timeout_ms, &deadline_ns);
    if (status != KVSTORE_OK) {
        return status;
    }
    store->is_quiet = intent->is_quiet;
    if (intent->is_compaction) {
        atomic_store(&store->compactor.is_behind_gate, true);
    }
    kv_store_keep_pace(store);
    status = kv_store_lock_writers(store, deadline_ns);
    if (status == KVSTORE_OK) {
        status = kv_store_follow_to_write(store, intent->takes_poisoned);
        if (status != KVSTORE_OK) {
            kv_store_unlock_writers(store);
        }
    }
    if (status != KVSTORE_OK) {
        kv_store_leave_gate(store);
    }
    return status;
}

void kv_store_end_write(struct kvstore *store)
{
    kv_store_unlock_writers(store);
    kv_store_leave_gate(store);
}

void kv_store_begin_target(struct kvstore *store,
                           const void *key,
                           size_t key_size,
                           struct kv_index_target *target_out)
{
    target_out->hash.tag = 0;
    if (!store->is_exclusive || kv_fork_guard_is_child(&store->guard)) {
        return;
    }
    kv_reader_lock_read(&store->reader_lock);
    kv_index_begin_target(&store->index, key, key_size, target_out);
    kv_reader_lock_end_read(&store->reader_lock);
}

bool kv_store_note_rest(struct kvstore *store)
{
    kv_error_hold();
    bool is_at_end = kv_store_check_end(store) == KVSTORE_OK;
    if (is_at_end && !kv_log_is_padded(&store->log)) {
        kv_table_set_writing(&store->index.table, KV_TABLE_AT_REST);
    }
    kv_error_release();
    return is_at_end;
}

/* --- Reading --- */

/* Brings the pair up to date, and begins a read. */
static kvstore_status begin_read_behind_gate(struct kvstore *store)
{
    /* Other threads of the handle are past the gate for a moment only, and a
     * read must not fail because of them, however little time there is for the
     * lock. */
    int64_t deadline_ns = kv_store_deadline(store->lock_timeout_ms);
    int64_t gate_ns = kv_io_clock_ns() + KV_LOCK_TIMEOUT_MS_DEFAULT * NS_PER_MS;
    struct kv_gate_waiter waiter = {.has_work = false};
    kvstore_status status = kv_store_enter_gate(
        store, &waiter, deadline_ns > gate_ns ? deadline_ns : gate_ns);
    if (status != KVSTORE_OK) {
        return status;
    }
    store->is_quiet = false;
    kv_error_hold(); /* A read that goes alone has not failed. */
    status = kv_error_release_after(bring_up(store, deadline_ns, false));
    if (status == KVSTORE_OK) {
        /* Before the next thread past the gate can change it. */
        kv_reader_lock_read(&store->reader_lock);
    }
    kv_store_leave_gate(store);
    return status;
}

/* The same within a read that is not certain to be of an up-to-date pair. */
KV_RARE static kvstore_status begin_checked_read(struct kvstore *store)
{
    bool is_up = false;
    int cancel = kv_cancel_hold();
    kvstore_status status = kv_store_is_up(store, &is_up);
    if (status != KVSTORE_OK || !is_up) {
        kv_reader_lock_end_read(&store->reader_lock);
    }
    if (status == KVSTORE_OK && !is_up) {
        status = begin_read_behind_gate(store);
    }
    kv_cancel_release(cancel);
    return status;
}

kvstore_status kv_store_begin_read(struct kvstore *store)
{
    kvstore_status status = kv_store_check_process(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_reader_lock_read(&store->reader_lock);
    return kv_store_is_surely_up(store) ? KVSTORE_OK
                                        : begin_checked_read(store);
}

void kv_store_end_read(struct kvstore *store)
{
    kv_reader_lock_end_read(&store->reader_lock);
}

struct kv_table_totals kv_store_totals(const struct kvstore *store,
                                       bool *are_exact_out)
{
    struct kv_table_totals totals;
    *are_exact_out = kv_table_load_totals(&store->index.table, &totals);
    return totals;
}
