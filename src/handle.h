/* SPDX-License-Identifier: MIT */

/* An open store: the locks around it, and the pair of log and index that it
 * goes by, which other processes may change at any time. The public calls are
 * made of these steps. */

#ifndef KV_HANDLE_H
#define KV_HANDLE_H

#include "fold.h"
#include "fork_guard.h"
#include "gate.h"
#include "io.h"
#include "keydir.h"
#include "kvstore.h"
#include "log.h"
#include "view_lock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kvstore {
    struct kv_fork_guard guard;
    struct kv_io_file directory;
    bool is_durable; /* KVSTORE_SYNC_ALWAYS */
    bool is_exclusive;
    bool is_read_only;
    bool compacts_when_due;
    int32_t lock_timeout_ms; /* As kv_io_lock() has it. */
    uint32_t compaction_percent;
    struct kv_progress progress; /* Whom to tell of long folds. */
    _Atomic uint64_t compaction_threshold;
    bool has_made_log; /* A moment ago: nobody else can have an index of it. */
    uint64_t process_id;
    uint64_t boot_id[2];
    pthread_mutex_t sync_mutex; /* The last lock in order. */

    struct kv_gate gate; /* One writer of this handle at a time. */
    /* Behind the gate: */
    bool must_yield; /* Somebody was waiting when this handle let go of the
                        lock. */
    uint64_t compaction_retry_bytes; /* After a failure none is tried before
                                        so many bytes are stale. */

    /* The view: the pair that reads and writes go by. Held for writing while
     * it changes; a live index changes without that. */
    struct kv_view_lock view_lock;
    struct kv_log log;
    struct kv_keydir keydir;

    /* The pair before it, closed when the writers' lock is gone: unmapping and
     * closing what has lost its name takes a while. Behind the gate. */
    struct kv_log old_log;
    struct kv_keydir old_keydir;

    _Atomic int64_t checked_ns; /* When the names were last looked at. */
    _Atomic uint64_t synced;    /* A private view's log up to here is on the
                                   disk. */
    _Atomic uint64_t poisoned_inode; /* A sync of this log failed; or 0. */
    atomic_bool owes_directory; /* Whoever gave a private view's log its name
                                   may have died before the directory was
                                   synced. */
};

/* Opens the log by its name, and the view with it. No lock is held yet. */
kvstore_status kv_handle_load(struct kvstore *store);

/* Begins a write: goes through the gate, takes the writers' lock, brings the
 * view up with the log, mends the log's end. From here to kv_handle_end_write()
 * the log ends at keydir.totals.applied, and nobody else writes.
 * KVSTORE_NOT_FOUND, without an error set: another thread has done the waiter's
 * work. takes_poisoned: also go on where a sync has failed. */
kvstore_status kv_handle_begin_write(struct kvstore *store,
                                     struct kv_gate_waiter *waiter,
                                     bool takes_poisoned);
void kv_handle_end_write(struct kvstore *store);

/* Within a write: finds the place of a key whose record is about to be written,
 * and makes room for it, as kv_keydir_prepare() says. Only a live view takes
 * more than one record at a time. KVSTORE_CONFLICT, without
 * an error set: the index has grown, and this key, like all that were prepared
 * before, has to be prepared again. The caller releases older_out on KVSTORE_OK. */
kvstore_status kv_handle_prepare(struct kvstore *store,
                                 const void *key,
                                 size_t key_size,
                                 struct kv_keydir_reserve *reserve,
                                 struct kv_keydir_find *older_out);

/* Within a write: applies the record that was prepared for, and appended. */
void kv_handle_commit(struct kvstore *store,
                      const struct kv_keydir_find *older,
                      const struct kv_fold_item *item);

/* Within a write: compacts the log. */
kvstore_status kv_handle_compact(struct kvstore *store);

/* Within a write: takes the damage out of the log. The repair, which the caller
 * releases, says what was moved where: on any status, if there is a name. */
struct kv_repair;
kvstore_status kv_handle_repair(struct kvstore *store,
                                struct kv_repair *repair_out);

/* Begins a read: the view is up with the log, and stays open up to
 * kv_handle_end_read(). */
kvstore_status kv_handle_begin_read(struct kvstore *store);
void kv_handle_end_read(struct kvstore *store);

/* Within a read: the totals of the view. */
kvstore_status kv_handle_totals(struct kvstore *store,
                                struct kv_index_totals *totals_out);

/* Builds the index anew, because it was found to be wrong. Not within a read or
 * a write. */
kvstore_status kv_handle_rebuild(struct kvstore *store);

/* Within a read, in a durable handle: makes sure that the log up to an offset
 * is on the disk before what stands there is told. After a failed sync nothing
 * is made sure of any more, and reads go on. */
kvstore_status kv_handle_ensure_synced(struct kvstore *store, uint64_t end);

/* Fails if a sync of the log has: then it takes no more writes. */
kvstore_status kv_handle_check_poison(struct kvstore *store);

/* Within a write: fails if something stands behind what was applied, which an
 * append that failed could not cut off again. */
kvstore_status kv_handle_check_end(const struct kvstore *store);

/* Within a read or a write: syncs the log up to an offset. Poisons it where
 * that fails, and is refused where it has. */
kvstore_status kv_handle_sync(struct kvstore *store, uint64_t end);

/* Closes what the view holds. */
void kv_handle_unload(struct kvstore *store);

#endif
