/* SPDX-License-Identifier: MIT */

/* An open store: the locks around it, and the pair of log and index that it
 * goes by, which other processes may change at any time. The public calls are
 * made of these steps. */

#ifndef KV_STORE_HANDLE_H
#define KV_STORE_HANDLE_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"
#include "os/fork.h"
#include "os/gate.h"
#include "os/reader_lock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Who compacts, and when. */
struct kv_compactor {
    int mode; /* KVSTORE_COMPACT_BACKGROUND and so on. */
    _Atomic uint64_t threshold_bytes;
    uint32_t threshold_percent;
    _Atomic int64_t not_before_ns; /* After it was somebody else's turn. */
    struct kv_gate gate; /* One compaction or repair of this handle at a time;
                            the first lock in order. */

    pthread_mutex_t mutex; /* Of what follows. */
    bool has_thread;       /* To be joined. */
    pthread_t thread;
    atomic_bool is_running;
    atomic_bool is_behind_gate; /* Some compaction is behind the handle's gate,
                                   or has just left it. */
    atomic_bool is_closing;
};

struct kvstore {
    struct kv_fork_guard guard;
    struct kv_io_file directory;
    bool is_durable; /* KVSTORE_SYNC_ALWAYS */
    bool is_exclusive;
    bool is_read_only;
    int32_t lock_timeout_ms;     /* As kv_io_lock() has it. */
    struct kv_progress progress; /* Whom to tell of long folds, */
    bool is_quiet;               /* but not now. Behind the gate. */
    bool has_made_log; /* A moment ago: nobody else can have an index of it. */
    uint64_t process_id;
    uint64_t boot_id[2];
    pthread_mutex_t sync_mutex; /* The last lock in order. */
    struct kv_compactor compactor;

    struct kv_gate gate; /* One writer of this handle at a time. */
    /* Behind the gate: */
    bool must_yield; /* Somebody was waiting when this handle let go of the
                        lock. */

    /* The pair that reads and writes go by. Held for writing while
     * it changes; a live index changes without that. */
    struct kv_reader_lock reader_lock;
    struct kv_log log;
    struct kv_index index;

    /* The pair before it, closed when the writers' lock is gone: unmapping and
     * closing what has lost its name takes a while. Behind the gate. */
    struct kv_log old_log;
    struct kv_index old_index;

    atomic_bool is_switching; /* To a new log, behind the gate: readers need not
                                 wait for the syncs of that. */
    _Atomic int64_t checked_ns; /* When the names were last looked at. */
    _Atomic uint64_t log_names; /* Hard links of the log, as they were then. */
    _Atomic uint64_t synced;    /* A private pair's log up to here is on the
                                   disk. */
    _Atomic uint64_t poisoned_inode; /* A sync of this log failed; or 0. */
    int64_t unshared_ns; /* When the directory was last changed, as a private
                            writer knows it: since then nobody has gone by an
                            index. Behind the gate. */
    atomic_bool owes_directory; /* Whoever gave a private pair's log its name
                                   may have died before the directory was
                                   synced. */
};

/* Opens the log by its name, and the pair with it. No lock is held yet. Where
 * that takes the writers' lock and somebody has it, the first call does it. */
kvstore_status kv_store_load(struct kvstore *store);

/* Begins a write: goes through the gate, takes the writers' lock, brings the
 * pair up with the log, mends the log's end. From here to kv_store_end_write()
 * the log ends at index.totals.applied, and nobody else writes.
 * KVSTORE_NOT_FOUND, without an error set: another thread has done the waiter's
 * work. */
struct kv_store_intent {
    bool takes_poisoned; /* Also go on where a sync has failed. */
    bool is_quiet;       /* The program is not told of progress. */
    bool is_compaction;  /* Other threads of the handle are patient with it. */
    int32_t timeout_ms;  /* As store->lock_timeout_ms. */
};
kvstore_status kv_store_begin_write(struct kvstore *store,
                                    struct kv_gate_waiter *waiter,
                                    const struct kv_store_intent *intent);
void kv_store_end_write(struct kvstore *store);

/* Before a write: asks the processor to fetch the place of a key, while the line
 * is planned. For an exclusive handle, whose writes wait for little else. */
void kv_store_prefetch(struct kvstore *store, const void *key, size_t key_size);

/* Within a write: finds the place of a key whose record is about to be written,
 * and makes room for it, as kv_index_prepare() says. Only a live pair takes more
 * than one record at a time. KVSTORE_CONFLICT, without an error set: the index
 * has grown, and this key, like all that were prepared before, has to be prepared
 * again. The caller releases older_out on KVSTORE_OK. */
kvstore_status kv_store_prepare(struct kvstore *store,
                                const void *key,
                                size_t key_size,
                                struct kv_index_reserve *reserve,
                                struct kv_index_find *older_out);

/* Within a write: applies the record that was prepared for, and appended. */
void kv_store_apply(struct kvstore *store,
                    const struct kv_index_find *older,
                    const struct kv_fold_item *item);

/* Compacts the log; not within a read or a write, which others may make
 * meanwhile. Both pointers may be NULL; is_given_up: as kv_compaction has it. */
kvstore_status kv_store_compact(struct kvstore *store,
                                const struct kv_progress *progress,
                                const atomic_bool *is_given_up);

/* The time, as kv_gate_enter() takes it, when a timeout is over that begins
 * now. */
int64_t kv_store_deadline(int32_t timeout_ms);

/* KVSTORE_INVALID in a child of fork(). */
kvstore_status kv_store_check_process(const struct kvstore *store);

/* Nobody finds a compaction due again before as many bytes more are stale as
 * his own threshold says. */
void kv_store_put_off_compaction(struct kvstore *store);

/* Whom to tell of a fold behind the gate; or NULL. */
const struct kv_progress *kv_store_progress(const struct kvstore *store);

/* Asks all writers of the store to wait a millisecond before each write, for so
 * long; 0: no longer. */
void kv_store_slow_writers(struct kvstore *store, int64_t ns);

/* Within a write: takes the damage out of the log. The repair, which the caller
 * releases, says what was moved where: on any status, if there is a name. */
struct kv_repair;
kvstore_status kv_store_repair(struct kvstore *store,
                               struct kv_repair *repair_out);

/* Begins a read: the pair is up with the log, and stays open up to
 * kv_store_end_read(). */
kvstore_status kv_store_begin_read(struct kvstore *store);
void kv_store_end_read(struct kvstore *store);

/* Within a read: the totals of the pair. */
kvstore_status kv_store_totals(struct kvstore *store,
                               struct kv_table_totals *totals_out);

/* Builds the index anew, because it was found to be wrong. Not within a read or
 * a write. */
kvstore_status kv_store_rebuild(struct kvstore *store);

/* Within a read, in a durable handle: makes sure that the log up to an offset
 * is on the disk before what stands there is told. After a failed sync nothing
 * is made sure of any more, and reads go on. */
kvstore_status kv_store_ensure_synced(struct kvstore *store, uint64_t end);

/* Fails if a sync of the log has: then it takes no more writes. */
kvstore_status kv_store_check_poison(struct kvstore *store);

/* Within a write: fails if something stands behind what was applied, which an
 * append that failed could not cut off again. */
kvstore_status kv_store_check_end(const struct kvstore *store);

/* Within a read or a write: syncs the log up to an offset. Poisons it where
 * that fails, and is refused where it has. */
kvstore_status kv_store_sync(struct kvstore *store, uint64_t end);

/* Closes what the pair holds. */
void kv_store_unload(struct kvstore *store);

#endif
