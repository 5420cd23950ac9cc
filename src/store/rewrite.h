/* SPDX-License-Identifier: MIT */

/* Puts a new log and its index in the place of the store's: compacted, or
 * without damage. */

#ifndef KV_STORE_REWRITE_H
#define KV_STORE_REWRITE_H

#include "kvstore.h"
#include "log/fold.h"
#include "store/repair.h"
#include "store/store.h"

#include <stdatomic.h>

/* Compacts the log; not within a read or a write, which others may make
 * meanwhile. Both pointers may be NULL; is_given_up: as in struct
 * kv_compaction. */
kvstore_status kv_store_compact(struct kvstore *store,
                                const struct kv_progress *progress,
                                const atomic_bool *is_given_up);

/* Takes the damage out of the log. The repair, which the caller releases, says
 * what was moved where: on any status, where there is a name. */
struct kv_repair;
kvstore_status kv_store_repair(struct kvstore *store,
                               struct kv_repair *repair_out) KV_LOCKED;

#endif
