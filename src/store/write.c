/* SPDX-License-Identifier: MIT */

/* The calls that change a store. A set is: encode one line, take the lock,
 * append, sync, apply to the index, release the lock. */

#include "kvstore.h"
#include "os/bounds.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/system.h"
#include "record/plan.h"
#include "record/record.h"
#include "store/barrier.h"
#include "store/commit.h"
#include "store/handle.h"
#include "store/lock.h"
#include "store/read.h"
#include "store/sync.h"

/* Lines up to this size are encoded without an allocation. */
#define SHORT_LINE_SIZE 1024

/* --- The calls that write --- */

/* Lays out the planned line, before any lock, and has it written. */
static inline kvstore_status write_record(kvstore *store,
                                          const struct kv_record_plan *plan)
{
    struct kv_store_write write;
    kv_store_begin_target(store, plan->key, plan->key_size, &write.target);
    char short_line[SHORT_LINE_SIZE];
    char *line = plan->line_size <= SHORT_LINE_SIZE
                     ? short_line
                     : kv_io_allocate(plan->line_size);
    if (line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kv_record_encode(plan, line);
    write.plan = plan;
    write.line = line;
    int cancel = kv_cancel_hold();
    kvstore_status status = kv_store_commit(store, &write);
    kv_cancel_release(cancel);
    if (line != short_line) {
        kv_io_free(line);
    }
    kv_store_tell_warnings(store);
    return status;
}

kvstore_status kvstore_set(kvstore *store,
                           const void *key,
                           size_t key_size,
                           const void *value,
                           size_t value_size)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_store_check_value(value, value_size);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_record_plan plan = kv_record_plan_set(
        key, key_size, value == NULL ? "" : value, value_size);
    return write_record(store, &plan);
}

kvstore_status kvstore_remove(kvstore *store, const void *key, size_t key_size)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_record_plan plan = kv_record_plan_remove(key, key_size);
    return write_record(store, &plan);
}

/* Begins to use the barrier of the pair's log, which has a description of its
 * own, as old as the pair. Where there is none, or the name of the log may not be
 * on the disk, syncs at once, too. is_done_out: there is nothing more to do. */
static kvstore_status enter_barrier(kvstore *store,
                                    struct kv_barrier **barrier_out,
                                    bool *is_done_out)
{
    kvstore_status status = KVSTORE_OK;
    *barrier_out = NULL;
    kv_reader_lock_read(&store->reader_lock);
    /* Without a pair the handle has written nothing. */
    *is_done_out = store->log.file.fd < 0;
    if (!*is_done_out) {
        status = kv_store_check_poison(store);
    }
    if (status == KVSTORE_OK && !*is_done_out) {
        *barrier_out = store->barrier;
        kv_barrier_enter(*barrier_out);
        *is_done_out = *barrier_out == NULL;
        if (*is_done_out || !store->index.is_shared) {
            status = kv_store_sync(store, 0);
        }
    }
    kv_reader_lock_end_read(&store->reader_lock);
    return status;
}

/* Brings the pair up to date, and looks for poison that another thread may have
 * noted, or another process. is_done_out: it still has the log that was
 * synced. */
static kvstore_status look_after(kvstore *store,
                                 const struct kv_barrier *barrier,
                                 bool *is_done_out)
{
    kvstore_status status = kv_store_begin_read(store);
    if (status == KVSTORE_OK) {
        *is_done_out = kv_barrier_is_of(barrier, &store->log);
        status = kv_store_check_poison(store);
        kv_store_end_read(store);
    }
    return status;
}

/* Past the gate: notes a failed sync once more. If the index is being switched, only
 * the name that it has under the lock is sure. */
static void poison_again(kvstore *store, int64_t deadline_ns)
{
    bool is_locked = kv_store_has_successor(store) &&
                     kv_store_lock_writers(store, deadline_ns) == KVSTORE_OK;
    kv_store_poison(store);
    if (is_locked) {
        kv_store_unlock_writers(store);
    }
}

/* A switch that is under way may have taken along what the old index said before,
 * and its process may die before it looks again. Whoever completes it, perhaps
 * another thread of this handle, goes by the index that has the name then. */
static void note_failed_sync(kvstore *store)
{
    int64_t deadline_ns = kv_store_deadline(KV_LOCK_TIMEOUT_MS_DEFAULT);
    struct kv_gate_waiter waiter = {.has_work = false};
    kv_error_hold();
    if (kv_store_enter_gate(store, &waiter, deadline_ns) == KVSTORE_OK) {
        if (kv_store_is_poisoned(store)) {
            poison_again(store, deadline_ns);
        }
        kv_store_leave_gate(store);
    }
    kv_error_release();
}

/* If the pair has gone on to another log meanwhile, the handle's newest records
 * may be there: so that is synced, too. */
static kvstore_status pass_barriers(kvstore *store)
{
    bool is_done = false;
    bool has_failed = false; /* This call's sync, rather than one before. */
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK && !is_done) {
        struct kv_barrier *barrier = NULL;
        status = enter_barrier(store, &barrier, &is_done);
        /* Past the look for poison, by which an earlier one would show. */
        has_failed = status == KVSTORE_IO && (is_done || barrier != NULL);
        if (status == KVSTORE_OK && barrier != NULL) {
            status = kv_store_sync_by(store, barrier);
            has_failed = status == KVSTORE_IO;
        }
        if (status == KVSTORE_OK && barrier != NULL) {
            status = look_after(store, barrier, &is_done);
        }
        kv_barrier_leave(barrier);
    }
    if (has_failed) {
        note_failed_sync(store);
    }
    return status;
}

kvstore_status kvstore_sync(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = kv_store_check_process(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    int cancel = kv_cancel_hold();
    status = pass_barriers(store);
    kv_cancel_release(cancel);
    kv_store_tell_warnings(store);
    return status;
}
