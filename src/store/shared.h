/* SPDX-License-Identifier: MIT */

/* A handle's pair whose index others map, too: how it is followed, built, grown
 * and mended under the writers' lock. */

#ifndef KV_STORE_SHARED_H
#define KV_STORE_SHARED_H

#include "kvstore.h"
#include "store/store.h"

#include <stdbool.h>

/* Brings the pair up to date with the log. must_check: check the names even if
 * that was done a moment ago. is_whole_out: it is certain that the log ends
 * with the last line. */
kvstore_status kv_store_follow_locked(struct kvstore *store,
                                      bool must_check,
                                      bool *is_whole_out) KV_LOCKED;

/* Mends the end of the log, with which the pair is up to date, and makes that
 * durable: cuts off a torn tail, or adds the missing newline. Not where a newer
 * version has written. has_gained_out: a program that takes no lock has
 * appended meanwhile, so nothing is mended, and the pair must be brought up to
 * date again. */
kvstore_status kv_store_mend(struct kvstore *store,
                             bool *has_gained_out) KV_LOCKED;

/* Builds the index anew. */
kvstore_status kv_store_rebuild_locked(struct kvstore *store) KV_LOCKED;

/* Goes on to a larger index. */
kvstore_status kv_store_grow(struct kvstore *store) KV_LOCKED;

#endif
