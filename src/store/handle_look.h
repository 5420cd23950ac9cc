/* SPDX-License-Identifier: MIT */

/* A look at the whole of a store: the log and the index of a handle's view as
 * they are at one moment, for calls that take long and must not keep the
 * handle's other threads from going on to another pair. */

#ifndef KV_HANDLE_LOOK_H
#define KV_HANDLE_LOOK_H

#include "index/keydir.h"
#include "kvstore.h"
#include "log/log.h"
#include "store/handle.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_handle_look {
    struct kv_log log; /* Read by system calls; whole up to */
    uint64_t end;      /* this offset. */
    bool has_index;
    struct kv_keydir keydir; /* The shared index, if so; never written. */
};

/* Not within a read or a write. wants_index: also the index, where it is a
 * shared one. What the look holds stays until kv_handle_close_look(), whatever
 * the handle goes on to. */
kvstore_status kv_handle_open_look(struct kvstore *store,
                                   bool wants_index,
                                   struct kv_handle_look *look_out);

/* The same within a write, of a shared index, with the totals that hold then. */
kvstore_status kv_handle_look_within(struct kvstore *store,
                                     struct kv_handle_look *look_out);
void kv_handle_close_look(struct kv_handle_look *look);

#endif
