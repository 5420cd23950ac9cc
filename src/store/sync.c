/* SPDX-License-Identifier: MIT */

/* Syncs. A log of which a sync has failed is poisoned: it takes no more
 * writes. */

#include "store/sync.h"

#include "index/index.h"
#include "index/table.h"
#include "index/trust.h"
#include "log/log.h"
#include "os/error.h"
#include "os/file.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/pair.h"

kvstore_status kv_store_fail_poisoned(void)
{
    return kv_fail(KVSTORE_IO,
                   "a sync of %s has failed: it takes no writes until it has "
                   "been compacted",
                   KV_LOG_NAME);
}

kvstore_status kv_store_check_poison(struct kvstore *store)
{
    return kv_store_is_poisoned(store) ? kv_store_fail_poisoned() : KVSTORE_OK;
}

/* True if this handle must still sync the directory: once for each log, with a
 * private pair. The builder of a shared index has done so. */
static bool owes_directory(const struct kvstore *store)
{
    return !store->index.is_shared && atomic_load(&store->owes_directory);
}

/* Syncs the log and, where its name may not be on the disk yet, the
 * directory. */
static kvstore_status sync_log_and_name(struct kvstore *store)
{
    kvstore_status status = kv_io_sync_data(&store->log.file);
    if (status == KVSTORE_OK && owes_directory(store)) {
        status = kv_io_sync(&store->directory);
        if (status == KVSTORE_OK) {
            atomic_store(&store->owes_directory, false);
        }
    }
    return status;
}

/* Tells what the failed sync of the last error means. */
static kvstore_status fail_lost(void)
{
    return kv_fail_errno(
        KVSTORE_IO,
        kvstore_last_error()->system_errno,
        "cannot sync %s, which may have lost what was written "
        "last, and takes no writes until it has been compacted",
        KV_LOG_NAME);
}

/* One sync at a time: of two that run at once on one descriptor, the kernel
 * reports to only one that pages are lost. */
kvstore_status kv_store_sync(struct kvstore *store, uint64_t end)
{
    (void)pthread_mutex_lock(&store->sync_mutex);
    kvstore_status status = kv_store_check_poison(store);
    if (status == KVSTORE_OK) {
        status = sync_log_and_name(store);
        if (status != KVSTORE_OK && !kv_io_was_unavailable()) {
            status = fail_lost();
            kv_store_poison(store);
        } else if (status == KVSTORE_OK && atomic_load(&store->synced) < end) {
            atomic_store(&store->synced, end);
        }
    }
    (void)pthread_mutex_unlock(&store->sync_mutex);
    return status;
}

kvstore_status kv_store_ensure_synced(struct kvstore *store, uint64_t end)
{
    bool is_synced =
        end <= atomic_load(&store->synced) && !owes_directory(store);
    if (store->index.is_shared || !store->is_durable || is_synced ||
        kv_store_is_poisoned(store)) {
        return KVSTORE_OK;
    }
    /* Up to all that is known, so that the next reads need no sync. A line is
     * in its slot before the totals count it. */
    uint64_t applied = kv_table_peek_totals(&store->index.table).applied;
    return kv_store_sync(store, end < applied ? applied : end);
}

kvstore_status kv_store_sync_by(struct kvstore *store,
                                struct kv_barrier *barrier)
{
    kv_barrier_begin_turn(barrier);
    kvstore_status status = kv_barrier_sync(barrier);
    if (status != KVSTORE_OK && !kv_io_was_unavailable()) {
        kv_reader_lock_read(&store->reader_lock);
        if (kv_barrier_is_of(barrier, &store->log)) {
            status = fail_lost();
            kv_store_poison(store);
        } else {
            status = KVSTORE_OK;
        }
        kv_reader_lock_end_read(&store->reader_lock);
    }
    kv_barrier_end_turn(barrier);
    return status;
}

bool kv_store_is_poisoned(struct kvstore *store)
{
    const struct kv_index *index = &store->index;
    if (index->is_shared &&
        atomic_load(&index->table.header->poisoned_inode) == store->log.inode) {
        atomic_store(&store->poisoned_inode, store->log.inode);
    }
    return atomic_load(&store->poisoned_inode) == store->log.inode;
}

static void poison_index(const struct kv_index *index, uint64_t log_inode)
{
    if (index->memory.is_writable) {
        atomic_store(&index->table.header->poisoned_inode, log_inode);
        kv_io_step("poison");
    }
}

/* The pair's index has a successor, or is about to, which may have been made
 * before there was poison to take along. */
static void poison_by_name(const struct kvstore *store)
{
    struct kv_pair pair;
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    bool has_more = false;
    kv_error_hold();
    kvstore_status status = kv_pair_open(store, &pair, &trust, &has_more);
    if (status == KVSTORE_OK && trust > KV_INDEX_FILE_UNUSABLE &&
        pair.log.inode == store->log.inode) {
        poison_index(&pair.index, pair.log.inode);
    }
    kv_pair_close(&pair);
    kv_error_release();
}

bool kv_store_has_successor(const struct kvstore *store)
{
    return store->index.is_shared &&
           atomic_load(&store->index.table.header->state) != KV_TABLE_LIVE;
}

/* An index that has lost its name can be told nothing, by nobody. */
static bool has_lost_name(struct kvstore *store)
{
    kv_error_hold();
    bool has_lost_it = kv_store_told_table(store) == NULL;
    kv_error_release();
    return has_lost_it;
}

void kv_store_poison(struct kvstore *store)
{
    const struct kv_index *index = &store->index;
    atomic_store(&store->poisoned_inode, store->log.inode);
    if (!index->is_shared) {
        return;
    }
    poison_index(index, store->log.inode);
    if (kv_store_has_successor(store) || has_lost_name(store)) {
        poison_by_name(store);
    }
}
