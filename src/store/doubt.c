/* SPDX-License-Identifier: MIT */

/* What a read does whose answer is in doubt: it waits for the batch or the writer
 * that may be behind it, or has the index built anew; and then looks again. */

#include "store/doubt.h"

#include "index/table.h"
#include "os/error.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/handle.h"
#include "store/lock.h"
#include "store/private.h"
#include "store/shared.h"

/* --- An index that is wrong --- */

static kvstore_status rebuild_privately(struct kvstore *store)
{
    kvstore_status status = kv_store_load_privately(store, false);
    if (status == KVSTORE_OK) {
        kv_store_note_rebuild(store);
    }
    return status;
}

/* Past the gate. */
static kvstore_status rebuild_past_gate(struct kvstore *store,
                                        int64_t deadline_ns)
{
    if (store->is_read_only) {
        return rebuild_privately(store);
    }
    kvstore_status status = kv_store_lock_writers(store, deadline_ns);
    if (status == KVSTORE_OK) {
        status = kv_store_rebuild_locked(store, KV_ALONE_TO_READ);
        kv_store_unlock_writers(store);
    } else if (status == KVSTORE_BUSY) {
        status = rebuild_privately(store);
    }
    return status;
}

/* If this ends with an index of the handle's own, others may go on with the one
 * that has the name, but this handle does not read by it again. With the lock it
 * does: sets need no more of it, and the next read that doubts it tries again. */
kvstore_status kv_store_rebuild(struct kvstore *store, uint64_t secret)
{
    int64_t deadline_ns = kv_store_deadline(store->lock_timeout_ms);
    struct kv_gate_waiter waiter = {.has_work = false};
    kvstore_status status = kv_store_enter_gate(store, &waiter, deadline_ns);
    if (status != KVSTORE_OK) {
        return status;
    }
    store->is_quiet = false;
    bool was_shared = store->index.is_shared;
    uint64_t inode = store->log.inode;
    if (store->index.table.secret.words[0] == secret) {
        status = rebuild_past_gate(store, deadline_ns);
    }
    if (status == KVSTORE_OK && was_shared && !store->index.is_shared) {
        store->left_secret = secret;
        store->left_inode = inode;
    }
    kv_store_leave_gate(store);
    return status;
}

/* --- Totals that are not of one moment --- */

kvstore_status kv_store_settle(struct kvstore *store)
{
    if (store->is_read_only || store->is_exclusive) {
        return KVSTORE_OK;
    }
    int64_t deadline_ns = kv_store_deadline(store->lock_timeout_ms);
    struct kv_gate_waiter waiter = {.has_work = false};
    kv_error_hold();
    kvstore_status status = kv_store_enter_gate(store, &waiter, deadline_ns);
    if (status == KVSTORE_OK) {
        store->is_quiet = false;
        status = kv_store_follow_with_lock(store, deadline_ns);
        kv_store_leave_gate(store);
    }
    return kv_error_release_after(status == KVSTORE_BUSY ? KVSTORE_OK : status);
}

/* --- A batch of which only a part is published --- */

/* A writer needs less, unless it waits for a processor. */
#define BATCH_NS INT64_C(1000000)
#define BATCH_PAUSE_NS 20000

/* Others of this handle are past the gate, or wait for the writers' lock there:
 * then its holder is alive. */
#define BATCH_GATE_NS KV_GRACE_NS

/* True as long as a record at an offset is in its slot and not applied. */
static bool is_half_there(struct kvstore *store, uint64_t offset)
{
    kv_reader_lock_read(&store->reader_lock);
    const struct kv_table *table = &store->index.table;
    bool is_half_there = kv_table_applied(table) <= offset &&
                         kv_table_writing(table) == KV_TABLE_PUBLISHING;
    kv_reader_lock_end_read(&store->reader_lock);
    return is_half_there;
}

/* Past the gate. A writer that has the lock is alive. */
static kvstore_status take_batch_along(struct kvstore *store, uint64_t offset)
{
    bool is_done = false;
    if (!is_half_there(store, offset)) {
        return KVSTORE_OK;
    }
    if (!store->is_read_only) {
        return kv_store_try_to_follow(store, &is_done);
    }
    return kv_store_holder_lives(store) ? KVSTORE_OK
                                        : kv_store_load_privately(store, false);
}

static kvstore_status do_dead_writers_work(struct kvstore *store,
                                           uint64_t offset)
{
    struct kv_gate_waiter waiter = {.has_work = false};
    kvstore_status status =
        kv_store_enter_gate(store, &waiter, kv_io_clock_ns() + BATCH_GATE_NS);
    if (status == KVSTORE_OK) {
        store->is_quiet = false;
        status = take_batch_along(store, offset);
        kv_store_leave_gate(store);
    }
    return status == KVSTORE_BUSY ? KVSTORE_OK : status;
}

kvstore_status kv_store_await_batch(struct kvstore *store, uint64_t offset)
{
    int64_t until_ns = kv_io_clock_ns() + BATCH_NS;
    bool is_half = is_half_there(store, offset);
    while (is_half && kv_io_clock_ns() < until_ns) {
        kv_io_sleep_ns(BATCH_PAUSE_NS);
        is_half = is_half_there(store, offset);
    }
    if (!is_half) {
        return KVSTORE_OK;
    }
    kv_error_hold();
    return kv_error_release_after(do_dead_writers_work(store, offset));
}
