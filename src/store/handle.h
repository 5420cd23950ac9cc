/* SPDX-License-Identifier: MIT */

/* An open store: the locks around it, and the pair of log and index that it
 * uses, which other processes may change at any time. The public calls are made
 * of these steps. */

#ifndef KV_STORE_HANDLE_H
#define KV_STORE_HANDLE_H

#include "index/apply.h"
#include "index/index.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/fold.h"
#include "os/gate.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens the log by its name, and the pair with it. No lock is held yet. If this
 * needs the writers' lock and another process has it, it is left to the first
 * call. */
kvstore_status kv_store_load(struct kvstore *store);

/* Begins a write: goes through the gate, takes the writers' lock, brings the
 * pair up to date with the log, mends the log's end. From here to
 * kv_store_end_write() the log ends at index.totals.applied, and there is no
 * other writer.
 * KVSTORE_NOT_FOUND, without an error set: another thread has done the waiter's
 * work. */
struct kv_store_intent {
    bool takes_poisoned; /* Also go on where a sync has failed. */
    bool is_quiet;       /* The program gets no progress reports. */
    bool is_compaction;  /* Other threads of the handle are patient with it. */
    int32_t timeout_ms;  /* As store->lock_timeout_ms. */
};
kvstore_status kv_store_begin_write(struct kvstore *store,
                                    struct kv_gate_waiter *waiter,
                                    const struct kv_store_intent *intent);
void kv_store_end_write(struct kvstore *store) KV_LOCKED;

/* Before a write: asks the processor to fetch the place of a key, while the
 * line is planned. For an exclusive handle, whose writes wait for little
 * else. */
void kv_store_prefetch(struct kvstore *store, const void *key, size_t key_size);

/* Finds the place of a key whose record is about to be written, and makes room
 * for it, as kv_index_prepare() says. has_grown_out: the index has grown for
 * that, and this key, like all that were prepared before it, must be prepared
 * again. Else the caller releases older_out on KVSTORE_OK. */
kvstore_status kv_store_prepare(struct kvstore *store,
                                const void *key,
                                size_t key_size,
                                struct kv_index_reserve *reserve,
                                struct kv_index_find *older_out,
                                bool *has_grown_out) KV_LOCKED;

/* Applies a record that has been prepared and appended. */
void kv_store_apply(struct kvstore *store,
                    const struct kv_index_find *older,
                    const struct kv_fold_item *item) KV_LOCKED;

/* KVSTORE_INVALID in a child of fork(). */
kvstore_status kv_store_check_process(const struct kvstore *store);

/* Puts compaction off: no handle finds one due again until as many more bytes
 * are stale as its own threshold says. */
void kv_store_put_off_compaction(struct kvstore *store);

/* Begins a read: the pair is up to date with the log, and stays open until
 * kv_store_end_read(). */
kvstore_status kv_store_begin_read(struct kvstore *store);
void kv_store_end_read(struct kvstore *store) KV_READING;

/* Reads the totals of the pair. */
kvstore_status kv_store_totals(struct kvstore *store,
                               struct kv_table_totals *totals_out) KV_READING;

/* Builds the index anew, because it was found to be wrong. Not within a read or
 * a write. */
kvstore_status kv_store_rebuild(struct kvstore *store);

/* Fails if the log goes on after what was applied, because a failed append
 * could not be cut off again. */
kvstore_status kv_store_check_end(const struct kvstore *store) KV_LOCKED;

/* Closes what the pair holds. */
void kv_store_unload(struct kvstore *store);

#endif
