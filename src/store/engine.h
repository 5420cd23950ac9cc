/* SPDX-License-Identifier: MIT */

/* What the parts of the engine share. */

#ifndef KV_STORE_ENGINE_H
#define KV_STORE_ENGINE_H

#include "index/index.h"
#include "kvstore.h"
#include "os/gate.h"
#include "record/expiry.h"
#include "record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads leave the handle const: what follows the log behind it is a cache. */
static inline kvstore *kv_store_own(const kvstore *store)
{
    return (kvstore *)store;
}

/* Are these a handle and a key? */
kvstore_status kv_store_check_key(const kvstore *store,
                                  const void *key,
                                  size_t key_size);

/* Where a value goes: into a buffer of the caller's, or a new one. */
struct kv_store_destination {
    void *buffer;
    size_t capacity;
    bool is_allocated; /* By the engine, with one NUL behind the value. */
    size_t value_size;
    struct kv_expiry *expiry; /* Of the call. */
};

/* Within a read: tells what was found of a key, and releases the find. doubt_out:
 * UINT64_MAX; or the index leads to a line there that it cannot have been built
 * from, while the key was found nowhere else. Then the answer does not count. */
kvstore_status kv_store_answer(kvstore *store,
                               struct kv_index_find *find,
                               struct kv_store_destination *destination,
                               uint64_t *doubt_out);

/* Not within a read: gets a key's value; where the index is in doubt, it is built
 * anew first. */
kvstore_status kv_store_get(kvstore *store,
                            const void *key,
                            size_t key_size,
                            struct kv_store_destination *destination);

/* A record that a thread wants written. It may be another thread that does
 * it. */
struct kv_store_write {
    struct kv_gate_waiter waiter;      /* The first member. */
    const struct kv_record_plan *plan; /* Its key and its value, and the line */
    const char *line;                  /* that they make. */

    /* Of who writes it: */
    kvstore_status status;
    kvstore_error error;
    bool is_prepared; /* It goes to the log, and older is to be released. */
    struct kv_index_find older;
    const struct kv_store_write *earlier; /* Of the same key, in the same
                                              group; or NULL. */
    struct kv_log_pointer pointer;
};

/* Writes a record, of which plan and line are set, alone or with those of other
 * threads. KVSTORE_NOT_FOUND, without an error set: a Remove of what is not
 * there. */
kvstore_status kv_store_commit(kvstore *store, struct kv_store_write *write);

/* Within a write: does the handle have to see to it that the store is
 * compacted? */
bool kv_store_is_compaction_due(const kvstore *store);

/* Behind a write: sees to it. Changes no error of this thread. */
void kv_store_compact_when_due(kvstore *store);

/* Around a compaction or a repair of this handle. KVSTORE_BUSY: another thread
 * is at one until the timeout. */
kvstore_status kv_store_enter_compactor(kvstore *store, int32_t timeout_ms);
void kv_store_leave_compactor(kvstore *store);

/* Before the handle is closed: no thread is compacting any more. */
void kv_store_stop_compacting(kvstore *store);

#endif
