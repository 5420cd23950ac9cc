/* SPDX-License-Identifier: MIT */

/* A handle's pair whose index others map, too: how it is followed, built, grown
 * and mended under the writers' lock. */

#ifndef KV_STORE_SHARED_H
#define KV_STORE_SHARED_H

#include "kvstore.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* What a call may do where no index can be shared: nobody appends then. Where
 * the shared one has no room for further lines, a read leaves them alone. */
enum kv_store_alone {
    KV_ALONE_NEVER,     /* Fail, with the reason. */
    KV_ALONE_TO_READ,   /* Go on with a private pair. */
    KV_ALONE_TO_REWRITE /* The same, and see that no index has the name. */
};

/* Brings the pair up to date with the log. must_check: check the names even if
 * that was done a moment ago. is_whole_out: it is certain that the log ends
 * with the last line. */
kvstore_status kv_store_follow_locked(struct kvstore *store,
                                      enum kv_store_alone alone,
                                      bool must_check,
                                      bool *is_whole_out) KV_LOCKED;

/* Notes, for the program, that an index was not true to its log. */
void kv_store_note_rebuild(struct kvstore *store);

/* Builds the index anew, since it is not true to its log. */
kvstore_status kv_store_rebuild_locked(struct kvstore *store,
                                       enum kv_store_alone alone) KV_LOCKED;

/* Goes on to a larger index, with room for so many more keys. KVSTORE_CORRUPT:
 * the index must be built anew instead. */
kvstore_status kv_store_grow(struct kvstore *store,
                             uint64_t more_keys) KV_LOCKED;

#endif
