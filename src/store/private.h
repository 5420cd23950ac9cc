/* SPDX-License-Identifier: MIT */

/* The pair of a handle that cannot share an index. */

#ifndef KV_STORE_PRIVATE_H
#define KV_STORE_PRIVATE_H

#include "kvstore.h"
#include "store/store.h"

#include <stdbool.h>

/* Follows the log in private memory, without the writers' lock. */
kvstore_status kv_store_follow_privately(struct kvstore *store) KV_GATED;

/* Opens the log by name and folds all of it in private memory. */
kvstore_status kv_store_load_privately(struct kvstore *store,
                                       bool is_locked) KV_GATED;

/* Folds what a private pair's log has gained. is_done_out: false if all of the
 * log must be folded. */
kvstore_status kv_store_catch_up_privately(struct kvstore *store,
                                           bool is_locked,
                                           bool *is_done_out) KV_GATED;

/* Puts a larger index in the place of the private pair's. */
kvstore_status kv_store_grow_privately(struct kvstore *store) KV_GATED;

#endif
