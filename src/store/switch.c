/* SPDX-License-Identifier: MIT */

/* The switch from one pair of log and index to the next, under the writers'
 * lock. All processes that have the old index mapped read its state word at
 * each call.
 *
 *    step                          a crash after it leaves, by name
 * 1  old index: SWITCHING          old log, old index
 * 2  rename the log (compaction)   new log, old index
 * 3  rename the new index          new log, new index (SWITCHING)
 * 4  sync the directory            the same, on the disk
 * 5  new index: LIVE               new log, new index (LIVE)
 * 6  old index: SUPERSEDED         the same
 *
 * Invariants:
 * 1. Both logs hold the same live data, so a reader of the old pair is right
 *    until the next write is acknowledged, which needs the lock.
 * 2. From step 1 on, all processes look the index up by name: as long as that
 *    is the old one, they go on with the old pair; from step 3 on, they open
 *    the new one.
 * 3. From an index that is not LIVE, the next holder of the lock knows that a
 *    switch was not completed. If the index is that of the log by name, syncing
 *    the log and the directory completes the switch; else (after step 2) the
 *    index is built anew. */

#include "store/switch.h"

#include "index/file.h"
#include "index/trust.h"
#include "log/successor.h"
#include "os/error.h"
#include "os/system.h"
#include "store/store.h"

#include <assert.h>

static void set_state(const struct kv_table *table, enum kv_table_state state)
{
    if (table != NULL) {
        atomic_store(&table->header->state, (uint64_t)state);
        kv_io_step("state");
    }
}

/* Notifies all that have the old index mapped, or the one that has lost its
 * name: a process that finds it LIVE, and checked the names a moment ago, would
 * append to its log. */
static void tell_others(const struct kv_switch *change,
                        enum kv_table_state state)
{
    set_state(change->old_table, state);
    set_state(change->lost_table, state);
}

/* What is known of a log stays known, unless the switch is to another log. */
static void take_poison(const struct kv_switch *change, uint64_t inode)
{
    if (!change->is_log_new && inode == change->log->inode) {
        atomic_store(&change->index->table.header->poisoned_inode, inode);
    }
}

static void take_poison_along(const struct kv_switch *change)
{
    if (change->old_table != NULL) {
        take_poison(change,
                    atomic_load(&change->old_table->header->poisoned_inode));
    }
}

static kvstore_status name_index(struct kv_switch *change)
{
    struct kv_index *index = change->index;
    if (change->is_log_new) {
        atomic_store(&index->table.header->kept, index->totals.applied);
    }
    if (index->directory == NULL) {
        return KVSTORE_UNSUPPORTED; /* Private memory has no name. */
    }
    kvstore_status status = kv_index_file_identify(&index->table,
                                                   &change->log->file,
                                                   change->log->device,
                                                   change->log->inode);
    if (status == KVSTORE_OK) {
        kv_index_file_take_views(
            change->directory, &change->log->file, &index->table);
        take_poison_along(change);
        take_poison(change, change->poisoned_inode);
        kv_index_store_totals(index);
        status = kv_index_file_name(change->directory, &index->memory);
    }
    return status;
}

/* An index that is not that of the log must not keep the name. */
static void unname_old_index(const struct kv_switch *change)
{
    kv_index_file_unname(change->directory);
    tell_others(change, KV_TABLE_SUPERSEDED);
}

static kvstore_status rename_log(struct kv_switch *change)
{
    if (!change->is_log_new) {
        change->is_log_in_place = true;
        return KVSTORE_OK;
    }
    kvstore_status status = kv_successor_rename(change->directory, change->log);
    change->is_log_in_place = status == KVSTORE_OK;
    return status;
}

/* True if a name has changed; else the pair is what it was. */
static bool has_changed_names(const struct kv_switch *change, bool is_named)
{
    return is_named || (change->is_log_new && change->is_log_in_place);
}

/* Whatever was renamed or written may still be undone by a power cut. */
static void note_lost_sync(const struct kv_table *table, uint64_t inode)
{
    atomic_store(&table->header->poisoned_inode, inode);
}

/* Also waits until all have left an old index that could not notify them. */
static kvstore_status sync_directory(const struct kv_switch *change)
{
    kvstore_status status = KVSTORE_OK;
    if (change->is_log_new || change->old_table == NULL) {
        status = kv_io_sync(change->directory);
    }
    if (change->old_table == NULL && !change->is_store_new) {
        kv_io_sleep_ns(KV_GRACE_NS);
    }
    if (status != KVSTORE_OK) {
        note_lost_sync(&change->index->table, change->log->inode);
    }
    return status;
}

static void bring_to_life(struct kv_switch *change)
{
    set_state(&change->index->table, KV_TABLE_LIVE);
    change->index->is_in_use = true;
    change->index->is_shared = true;
    change->is_index_in_place = true;
}

/* A sync that another handle makes takes no lock, and may have failed since the
 * poison was first taken along. One that fails from here on finds the new index
 * itself. */
static void supersede(const struct kv_switch *change)
{
    tell_others(change, KV_TABLE_SUPERSEDED);
    take_poison_along(change);
}

kvstore_status kv_switch_run(struct kv_switch *change)
{
    assert(!change->index->is_in_use && !change->index->is_shared);
    change->is_index_in_place = false;

    tell_others(change, KV_TABLE_SWITCHING);    /* 1 */
    kvstore_status status = rename_log(change); /* 2 */
    bool is_named =
        status == KVSTORE_OK && name_index(change) == KVSTORE_OK; /* 3 */
    if (!has_changed_names(change, is_named)) {
        tell_others(change, KV_TABLE_LIVE);
        return status;
    }
    if (!is_named) {
        unname_old_index(change);
    }
    status = sync_directory(change); /* 4 */
    if (is_named) {
        bring_to_life(change); /* 5 */
    }
    supersede(change); /* 6 */
    return status;
}

kvstore_status kv_switch_complete(const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  const struct kv_table *table)
{
    kv_error_hold();
    kvstore_status status = kv_io_sync(&log->file);
    if (status == KVSTORE_OK) {
        status = kv_io_sync(directory);
    }
    if (status != KVSTORE_OK && kv_io_was_unavailable()) {
        return kv_error_release_after(status);
    }
    kv_error_release();
    if (status != KVSTORE_OK) {
        note_lost_sync(table, log->inode);
    }
    /* Reads go on, and writes find the poison. Whether the dead process had others
     * to wait for is not known. */
    kv_io_sleep_ns(KV_GRACE_NS);
    set_state(table, KV_TABLE_LIVE);
    return KVSTORE_OK;
}
