/* SPDX-License-Identifier: MIT */

/* An open store: the locks around it, and how it is kept up with a log that
 * other processes write, too. The public calls are made of these steps. */

#ifndef KV_HANDLE_H
#define KV_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fork_guard.h"
#include "io.h"
#include "keydir.h"
#include "kvstore.h"
#include "log.h"

struct kvstore {
    struct kv_fork_guard guard;
    struct kv_io_file directory;
    bool is_durable; /* KVSTORE_SYNC_ALWAYS */
    bool is_exclusive;
    bool is_read_only;
    bool compacts_when_due;
    int32_t lock_timeout_ms; /* As kv_io_lock() has it. */
    uint32_t compaction_percent;
    _Atomic uint64_t compaction_threshold;

    /* The gate: one writer of this handle at a time. */
    pthread_mutex_t gate_mutex;
    pthread_cond_t gate_opened;
    bool is_gate_taken;
    /* Changed behind the gate: */
    atomic_bool is_end_known; /* An exclusive handle has followed the log since
                                 it took the lock, and everything written since
                                 was applied: nothing can have changed. */
    uint64_t compaction_retry_bytes; /* After a failure none is tried before
                                        so many bytes are stale. */

    /* The view: what reads go by. Held for writing while it changes. */
    pthread_rwlock_t view_lock;
    struct kv_log log;
    struct kv_keydir keydir;
    uint64_t compactions;

    _Atomic uint64_t synced; /* The log up to here is on the disk. */
    atomic_bool is_poisoned; /* A sync failed: nothing more is written here. */
    atomic_bool owes_directory; /* Whoever gave the log its name may have died
                                   before the directory was synced. */
};

/* Folds the log of a new handle. No lock is held yet. */
kvstore_status kv_handle_load(struct kvstore *store);

/* Begins a write: goes through the gate, takes the writers' lock, follows the
 * log, mends its end. From here to kv_handle_end_write() the log is as long as
 * header->applied says, and nobody else writes. takes_poisoned: also go on
 * where a sync has failed. */
kvstore_status kv_handle_begin_write(struct kvstore *store,
                                     bool takes_poisoned);
void kv_handle_end_write(struct kvstore *store);

/* Begins a read: the view is up with the log, and stays as it is up to
 * kv_handle_end_read(). */
kvstore_status kv_handle_begin_read(struct kvstore *store);
void kv_handle_end_read(struct kvstore *store);

/* Folds the log anew, because the view was found to be wrong. Not within a
 * read. */
kvstore_status kv_handle_rebuild(struct kvstore *store);

/* In a durable handle: makes sure that the log up to an offset is on the disk
 * before what stands there is told. Within a read. After a failed sync nothing
 * is made sure of any more, and reads go on. */
kvstore_status kv_handle_ensure_synced(struct kvstore *store, uint64_t end);

/* Syncs the log up to an offset; poisons the handle where that fails, and is
 * refused where it has. Within a read or a write. */
kvstore_status kv_handle_sync(struct kvstore *store, uint64_t end);

/* Syncs the directory, once for each log that the handle did not name itself:
 * before anything is acknowledged in it. Within a read or a write. */
kvstore_status kv_handle_pay_directory(struct kvstore *store);

#endif
