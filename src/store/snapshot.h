/* SPDX-License-Identifier: MIT */

/* A snapshot of a whole store: the log and the index of a handle's pair as
 * they are at one moment, for calls that take long and must not keep the
 * handle's other threads from going on to another pair. */

#ifndef KV_STORE_SNAPSHOT_H
#define KV_STORE_SNAPSHOT_H

#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_snapshot {
    struct kv_log log;  /* Read by system calls; whole up to */
    uint64_t end;       /* this offset. */
    bool may_map;       /* The log may be mapped to be read: the pair's is. */
    uint64_t key_count; /* As the index has it, at some moment. */
    bool has_index;
    struct kv_index index; /* The shared index, if so; never written. */
};

/* Opens a snapshot; not within a read or a write. wants_index: with the index,
 * if that is shared. What the snapshot holds stays until kv_snapshot_close(),
 * whatever the handle goes on to. */
kvstore_status kv_store_open_snapshot(struct kvstore *store,
                                      bool wants_index,
                                      struct kv_snapshot *snapshot_out);

/* The same for a shared index, with the totals of that moment. */
kvstore_status kv_store_open_snapshot_within(
    struct kvstore *store,
    struct kv_snapshot *snapshot_out) KV_LOCKED;
void kv_snapshot_close(struct kv_snapshot *snapshot);

#endif
