/* SPDX-License-Identifier: MIT */

/* A handle's pair whose index others map, too: followed, built, grown and
 * mended under the writers' lock. */

#ifndef KV_STORE_SHARED_H
#define KV_STORE_SHARED_H

#include "kvstore.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* After this time, all have noticed that an index has lost its name. */
#define KV_UNTOLD_NS INT64_C(50000000)

/* Brings the pair up under the writers' lock. must_check: look at the names
 * even if that was done a moment ago. is_whole_out: nothing stands behind the
 * last line for certain. */
kvstore_status kv_store_follow_locked(struct kvstore *store,
                                      bool must_check,
                                      bool *is_whole_out);

/* Mends the end of the log, which the pair is up with, and makes that durable:
 * cuts a torn tail off, or adds the newline that is missing. Under the writers'
 * lock, and not where a newer version has written. has_gained_out: a program
 * that takes no lock has appended meanwhile, so nothing is mended, and the pair
 * is to be brought up again. */
kvstore_status kv_store_mend(struct kvstore *store, bool *has_gained_out);

/* Builds the index anew under the writers' lock. */
kvstore_status kv_store_rebuild_locked(struct kvstore *store);

/* Goes on to a larger index, under the writers' lock. */
kvstore_status kv_store_grow(struct kvstore *store);

#endif
