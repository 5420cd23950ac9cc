/* SPDX-License-Identifier: MIT */

/* The switch from one pair of log and index to the next, under the writers'
 * lock. Whoever has the old index mapped reads its state word at each call.
 *
 *    step                          a crash behind it leaves, by name
 * 1  old index: SWITCHING          old log, old index
 * 2  rename the log (compaction)   new log, old index
 * 3  rename the new index          new log, new index (SWITCHING)
 * 4  sync the directory            the same, on the disk
 * 5  new index: LIVE               new log, new index (LIVE)
 * 6  old index: SUPERSEDED         the same
 *
 * Invariants:
 * 1. Both logs hold the same live data, so whoever reads by the old pair is
 *    right until the next write is acknowledged, which needs the lock.
 * 2. From step 1 on, everybody looks the index up by name: as long as that is
 *    the old one, they go on with the old pair; from step 3 on, they open the
 *    new one.
 * 3. An index that is not LIVE tells the next holder of the lock that a switch
 *    was not completed. If it is of the log by name, syncing log and directory
 *    completes it; else (behind step 2) it is built anew. */

#include "store/switchover.h"

#include "index/index_file.h"
#include "os/error.h"
#include "store/compaction.h"

#include <assert.h>

/* Those who have mapped an index that is not trusted, or that has lost its
 * name, look for the name every 10 ms; before they have, nothing may be
 * acknowledged by the new one. */
#define UNTOLD_PAUSE_NS INT64_C(50000000)

static void set_state(const struct kv_index *index, enum kv_index_state state)
{
    if (index != NULL) {
        atomic_store(&index->header->state, (uint64_t)state);
        kv_io_step("state");
    }
}

/* Tells all who have the old index mapped, or the one that has lost its name:
 * whoever finds it LIVE, and has looked at the names a moment ago, appends to its
 * log. */
static void tell_others(const struct kv_switchover *switchover,
                        enum kv_index_state state)
{
    set_state(switchover->old_index, state);
    set_state(switchover->lost_index, state);
}

/* What is known of a log stays known, unless it is another log from now on. */
static void take_poison(const struct kv_switchover *switchover, uint64_t inode)
{
    if (!switchover->is_log_new && inode == switchover->log->inode) {
        atomic_store(&switchover->keydir->index.header->poisoned_inode, inode);
    }
}

static void take_poison_along(const struct kv_switchover *switchover)
{
    if (switchover->old_index != NULL) {
        take_poison(
            switchover,
            atomic_load(&switchover->old_index->header->poisoned_inode));
    }
}

static kvstore_status name_index(struct kv_switchover *switchover)
{
    struct kv_keydir *keydir = switchover->keydir;
    if (keydir->directory == NULL) {
        return KVSTORE_UNSUPPORTED; /* Private memory has no name. */
    }
    kvstore_status status = kv_index_file_identify(&keydir->index,
                                                   &switchover->log->file,
                                                   switchover->log->device,
                                                   switchover->log->inode);
    if (status == KVSTORE_OK) {
        kv_index_file_take_mounts(switchover->directory, &keydir->index);
        take_poison_along(switchover);
        take_poison(switchover, switchover->poisoned_inode);
        kv_index_store_totals(&keydir->index, &keydir->totals);
        status = kv_index_file_name(switchover->directory, &keydir->memory);
    }
    return status;
}

/* No index may keep the name that is not of the log. */
static void unname_old_index(const struct kv_switchover *switchover)
{
    kvstore_error before = *kvstore_last_error();
    (void)kv_io_unlink(switchover->directory, KV_INDEX_NAME);
    tell_others(switchover, KV_INDEX_SUPERSEDED);
    kv_fail_again(&before);
}

kvstore_status kv_switchover_run(struct kv_switchover *switchover)
{
    struct kv_keydir *keydir = switchover->keydir;
    assert(!keydir->is_live);
    switchover->is_log_in_place = !switchover->is_log_new;
    switchover->is_keydir_in_place = false;

    tell_others(switchover, KV_INDEX_SWITCHING);
    if (switchover->is_log_new) {
        kvstore_status status =
            kv_compaction_rename(switchover->directory, switchover->log);
        if (status != KVSTORE_OK) {
            tell_others(switchover, KV_INDEX_LIVE);
            return status;
        }
        switchover->is_log_in_place = true;
    }
    bool is_named = name_index(switchover) == KVSTORE_OK;
    if (!is_named && !switchover->is_log_new) {
        tell_others(switchover, KV_INDEX_LIVE);
        return KVSTORE_OK;
    }
    if (!is_named) {
        unname_old_index(switchover);
    }
    kvstore_status status = KVSTORE_OK;
    if (switchover->is_log_new || switchover->old_index == NULL) {
        status = kv_io_sync(switchover->directory);
    }
    if (switchover->old_index == NULL && !switchover->is_store_new) {
        kv_io_sleep_ns(UNTOLD_PAUSE_NS);
    }
    if (status != KVSTORE_OK) {
        /* The rename may yet be undone by a power cut. */
        atomic_store(&keydir->index.header->poisoned_inode,
                     switchover->log->inode);
    }
    if (is_named) {
        set_state(&keydir->index, KV_INDEX_LIVE);
        keydir->is_live = true;
        switchover->is_keydir_in_place = true;
    }
    tell_others(switchover, KV_INDEX_SUPERSEDED);
    /* A sync that another handle makes takes no lock, and may have failed behind
     * the look above. One that fails from here on finds the new index itself. */
    take_poison_along(switchover);
    return status;
}

kvstore_status kv_switchover_complete(const struct kv_io_file *directory,
                                      const struct kv_log *log,
                                      const struct kv_index *index)
{
    kvstore_status status = kv_io_sync(&log->file);
    if (status == KVSTORE_OK) {
        status = kv_io_sync(directory);
    }
    if (status == KVSTORE_OK) {
        /* Whether the dead process had others to wait for, nobody knows. */
        kv_io_sleep_ns(UNTOLD_PAUSE_NS);
        set_state(index, KV_INDEX_LIVE);
    }
    return status;
}
