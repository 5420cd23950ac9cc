/* SPDX-License-Identifier: MIT */

/* What writes the log anew as a whole, within a write: compaction, and repair.
 * Both make a new log and its keydir beside the old pair, and then switch. On a
 * failure before the switch everything is as it was. */

#include "compaction.h"
#include "error.h"
#include "handle.h"
#include "handle_view.h"
#include "repair.h"
#include "switchover.h"

/* Puts a new log and its keydir in the place of those that the view has.
 * is_in_place_out: else both are still the caller's. */
static kvstore_status switch_log(struct kvstore *store,
                                 struct kv_log *log,
                                 struct kv_keydir *keydir,
                                 bool *is_in_place_out)
{
    struct kv_switchover switchover = {.directory = &store->directory,
                                       .old_index = kv_view_told_index(store),
                                       .log = log,
                                       .is_log_new = true,
                                       .keydir = keydir};
    kvstore_status status = kv_switchover_run(&switchover);
    *is_in_place_out = switchover.is_log_in_place;
    if (!switchover.is_log_in_place) {
        return status;
    }
    kv_view_install(store, log, keydir);
    atomic_store(&store->synced, keydir->totals.applied);
    atomic_store(&store->poisoned_inode, 0);
    if (status != KVSTORE_OK) {
        /* The rename may yet be undone by a power cut. */
        kv_view_poison(store);
        return KVSTORE_IO;
    }
    return KVSTORE_OK;
}

/* What the caller of a compaction is told. */
static kvstore_status rewriting_status(const struct kvstore *store,
                                       kvstore_status status,
                                       uint64_t inode_before)
{
    bool is_in_place = store->log.inode != inode_before;
    bool says_why = status == KVSTORE_OK || status == KVSTORE_NO_MEMORY ||
                    status == KVSTORE_BUSY || is_in_place;
    return says_why ? status : kv_fail_as(KVSTORE_COMPACTION_FAILED);
}

/* --- Compacting --- */

static kvstore_status compact_once(struct kvstore *store)
{
    struct kv_log log;
    struct kv_keydir keydir;
    bool is_in_place = false;
    kvstore_status status = kv_compaction_write(&store->directory,
                                                &store->log,
                                                &store->keydir,
                                                &store->progress,
                                                &log,
                                                &keydir);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = switch_log(store, &log, &keydir, &is_in_place);
    if (!is_in_place) {
        kv_compaction_discard(&store->directory, &log);
        kv_keydir_release(&keydir);
    }
    return status;
}

kvstore_status kv_handle_compact(struct kvstore *store)
{
    uint64_t inode_before = store->log.inode;
    kv_index_file_sweep(&store->directory);
    kvstore_status status = compact_once(store);
    if (status == KVSTORE_CORRUPT) {
        /* The index is a cache that may lie; the log does not. */
        status = kv_view_rebuild_locked(store);
        if (status == KVSTORE_OK) {
            status = compact_once(store);
        }
    }
    return rewriting_status(store, status, inode_before);
}

/* --- Repairing --- */

static kvstore_status write_repaired(struct kvstore *store,
                                     struct kv_repair *repair)
{
    struct kv_log log;
    struct kv_keydir keydir;
    bool is_in_place = false;
    kvstore_status status =
        kv_repair_write(repair, &store->keydir, &log, &keydir);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = switch_log(store, &log, &keydir, &is_in_place);
    if (!is_in_place) {
        kv_compaction_discard(&store->directory, &log);
        kv_keydir_release(&keydir);
        kv_repair_undo(repair);
    }
    return status;
}

/* An index that knows of damage which is not there is built anew. */
static kvstore_status forget_damage(struct kvstore *store)
{
    return store->keydir.totals.counts.damaged_records == 0
               ? KVSTORE_OK
               : kv_view_rebuild_locked(store);
}

kvstore_status kv_handle_repair(struct kvstore *store, struct kv_repair *repair)
{
    struct kv_log old_log = store->log;
    *repair = (struct kv_repair){.directory = &store->directory,
                                 .log = &old_log,
                                 .end = store->keydir.totals.applied,
                                 .progress = &store->progress};
    kv_index_file_sweep(&store->directory);
    kvstore_status status = kv_repair_find(repair);
    if (status == KVSTORE_OK) {
        status = repair->count == 0 ? forget_damage(store)
                                    : write_repaired(store, repair);
    }
    repair->log = NULL;
    return rewriting_status(store, status, old_log.inode);
}
