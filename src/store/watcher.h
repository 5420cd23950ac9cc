/* SPDX-License-Identifier: MIT */

/* What watches a store: a place in its log, from which it reads on; and if
 * changes have been lost, the state of the store instead. It may outlive the
 * handle. */

#ifndef KV_STORE_WATCHER_H
#define KV_STORE_WATCHER_H

#include "index/header.h"
#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/fork.h"
#include "store/changes.h"

#include <stdatomic.h>
#include <stdint.h>

struct kv_store_ref;

enum watch_phase {
    WATCH_RESET, /* It says so next, */
    WATCH_STATE, /* then all keys, then that these were all. */
    WATCH_NEWS
};

struct kvstore_watcher {
    struct kv_fork_guard guard;
    atomic_bool is_inside; /* A thread is changing what follows. */
    struct kv_store_ref *ref;
    enum watch_phase phase;

    struct kv_log log;     /* It has this open; changes are read */
    uint64_t end;          /* up to here, */
    uint64_t torn_end;     /* unless this is the end: it does not read. */
    uint64_t index_secret; /* Of the index, at the last look. */

    struct kv_log next_log; /* The one that has taken its place; or none. */
    struct kv_table_succession succession; /* If there is one. */

    struct kv_index state; /* In phase STATE: of the log, up to the end. */
    struct kv_changes changes;
    char *prefix;
    kvstore_change change;
    kvstore_entry entry;
};

/* Begins at the store's end: what follows is news. A watcher that does not begins
 * with a reset. */
kvstore_status kv_watcher_begin(struct kvstore_watcher *watcher);

/* Takes the next change, after at most one look at the store, or as many as it
 * has had logs. KVSTORE_NOT_FOUND, without an error set: there is none.
 * KVSTORE_INVALID: the store has been closed. Other failures change nothing that
 * the next call would not make good. */
kvstore_status kv_watcher_take(struct kvstore_watcher *watcher);

#endif
