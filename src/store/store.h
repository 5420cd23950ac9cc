/* SPDX-License-Identifier: MIT */

/* The state of an open store. Data only.
 *
 * The public calls of kvstore.h are implemented in store/open.c,
 * store/read.c, store/write.c, store/change.c, store/batch.c, store/compact.c,
 * store/inspect.c, store/iterate.c, store/watch.c and store/backup.c. */

#ifndef KV_STORE_STORE_H
#define KV_STORE_STORE_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"
#include "os/fork.h"
#include "os/gate.h"
#include "os/reader_lock.h"
#include "os/warnings.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a call needs, for its prototype; nothing to the compiler.
 * KV_READING: within a read, so that the pair stays open; or one of the next.
 * KV_GATED:   past the handle's gate, so that no other thread changes the pair.
 * KV_LOCKED:  that, and with the writers' lock, so that no process writes. */
#define KV_READING
#define KV_GATED
#define KV_LOCKED

/* How often each handle checks the names of the pair that it shares. An index
 * that has lost its name cannot say so to the processes that have it mapped. So
 * a process that names another, and cannot notify them either, waits until all
 * of them are certain to have checked, before anything is acknowledged under
 * the new one. */
#define KV_NAME_CHECK_NS INT64_C(10000000)
#define KV_GRACE_NS INT64_C(50000000)
#define KV_NEVER_NS (INT64_MIN / 2) /* Before all times. */
static_assert(KV_GRACE_NS >= 5 * KV_NAME_CHECK_NS,
              "all have checked the names before the grace is over");

/* When a handle compacts, and in which thread. */
struct kv_compactor {
    int mode; /* KVSTORE_COMPACT_BACKGROUND and so on. */
    _Atomic uint64_t threshold_bytes;
    uint32_t threshold_percent;
    _Atomic int64_t not_before_ns; /* Until then it is another handle's turn. */
    struct kv_gate gate; /* One compaction or repair of this handle at a time;
                            the first lock in order. */

    pthread_mutex_t mutex; /* For what follows. */
    bool has_thread;       /* It must be joined. */
    pthread_t thread;
    atomic_bool is_running;
    atomic_bool is_behind_gate; /* A compaction is past the handle's gate, or
                                   has just left it. */
    atomic_bool is_closing;
};

struct kv_barrier;
struct kv_store_ref;

struct kvstore {
    struct kv_fork_guard guard;
    struct kv_store_ref *ref; /* For what may outlive the handle. */
    struct kv_io_file directory;
    bool is_durable; /* KVSTORE_SYNC_ALWAYS */
    bool is_exclusive;
    bool is_read_only;
    int32_t lock_timeout_ms;     /* As kv_io_lock() has it. */
    struct kv_progress progress; /* Called during long folds, */
    bool is_quiet;               /* but not now. Past the gate. */
    bool has_made_log; /* A moment ago: no other handle can have an index of
                          it. */
    uint64_t process_id;
    uint64_t boot_id;     /* 0: the system does not tell. */
    atomic_int slow_open; /* KVSTORE_OPEN_FAST, or why the last was not. */
    pthread_mutex_t sync_mutex; /* The last lock in order. */
    struct kv_barrier *barrier; /* Of the pair's log; NULL: none. */
    struct kv_compactor compactor;

    struct kv_gate gate; /* One writer of this handle at a time. */
    /* Past the gate: */
    bool must_yield; /* Another was waiting when this handle released the
                        lock. */
    /* The shared index that this handle has left for its own, since a read found
     * it wrong, and it could not be built anew: its secret, which growth and
     * compaction keep, and the inode of its log; or 0. */
    uint64_t left_secret;
    uint64_t left_inode;

    /* The pair that reads and writes use. The lock is held for writing while
     * another pair takes its place; the index changes under its readers. */
    struct kv_reader_lock reader_lock;
    struct kv_log log;
    struct kv_index index;

    /* The previous pair, closed once the writers' lock is released: unmapping
     * and closing what has lost its name takes a while. Past the gate. */
    struct kv_log old_log;
    struct kv_index old_index;

    atomic_bool is_switching; /* To a new log, past the gate: readers need not
                                   wait for its syncs. */
    atomic_bool
        owes_directory; /* The process that gave a private pair's log its
                                   name may have died before it synced the
                                   directory. */
    _Atomic int64_t checked_ns; /* When the names were last checked. */
    int64_t looked_ns; /* When a write last looked at the log's size, too. Past
                          the gate. */
    _Atomic uint64_t log_names;  /* Hard links of the log at that time, */
    _Atomic uint64_t size_limit; /* and the limit on file sizes. */
    _Atomic uint64_t synced;     /* A private pair's log up to here is on the
                                   disk. */
    _Atomic uint64_t poisoned_inode; /* A sync of this log failed; or 0. */

    struct kv_warnings warnings;
};

/* Reads take a const handle: the part of it that follows the log is a cache. */
static inline kvstore *kv_store_own(const kvstore *store)
{
    return (kvstore *)store;
}

#endif
