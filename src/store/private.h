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

#endif
