/* SPDX-License-Identifier: MIT */

/* How a handle's pair of log and index is opened, followed and changed. For handle.c, which holds the locks. */

#ifndef KV_STORE_PAIR_H
#define KV_STORE_PAIR_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "store/handle.h"

#include <stdbool.h>
#include <stdint.h>

/* After this time, all have noticed that an index has lost its name. */
#define KV_UNTOLD_NS INT64_C(50000000)

/* Is the pair up with the store? Under the pair's lock. */
kvstore_status kv_store_is_up(struct kvstore *store, bool *is_up_out);

/* Opens the pair by name, without the writers' lock. behind_out: there are
 * lines behind a trusted index, which somebody with the lock should look at.
 * KVSTORE_NOT_FOUND, without an error set: no index is to be trusted. */
kvstore_status kv_store_open_pair(struct kvstore *store, bool *is_behind_out);

/* Opens the log that has the name now. */
kvstore_status kv_store_open_log(const struct kvstore *store,
                                 struct kv_log *log);

/* Follows the log in private memory, without the writers' lock. */
kvstore_status kv_store_follow_privately(struct kvstore *store);

/* Opens the log by name and folds all of it in private memory. */
kvstore_status kv_store_load_privately(struct kvstore *store,
                                       bool is_locked,
                                       struct kv_fold_result *result_out);

/* Folds what a private pair's log has gained. is_whole_out: that was enough;
 * else all of it has to be folded. */
kvstore_status kv_store_catch_up_privately(struct kvstore *store,
                                           bool is_locked,
                                           bool *is_whole_out,
                                           struct kv_fold_result *result_out);

/* Brings the pair up under the writers' lock. must_check: look at the names
 * even if that was done a moment ago. is_whole_out: nothing stands behind the
 * last line for certain. */
kvstore_status kv_store_follow_locked(struct kvstore *store,
                                      bool must_check,
                                      bool *is_whole_out);

/* Mends the end of the log, which the pair is up with, and makes that durable:
 * cuts a torn tail off, or adds the newline that is missing. Under the writers'
 * lock, and not where a newer version has written. KVSTORE_CONFLICT, without an
 * error set: somebody without the lock has appended meanwhile, so nothing is
 * mended, and the pair is to be brought up again. */
kvstore_status kv_store_mend(struct kvstore *store);

/* Builds the index anew under the writers' lock. */
kvstore_status kv_store_rebuild_locked(struct kvstore *store);

/* Switches to a larger index, under the writers' lock. */
kvstore_status kv_store_grow(struct kvstore *store);

/* Has a sync of the pair's log failed, here or elsewhere? */
bool kv_store_is_poisoned(struct kvstore *store);

/* It has, here. */
void kv_store_poison(struct kvstore *store);

/* The index of the pair, if others can be told by it that it is superseded: if
 * it is live and has its name. Else NULL. */
struct kv_table *kv_store_told_table(struct kvstore *store);

/* Puts another log and index in the place of the handle's; they are its
 * own from now on. */
void kv_store_install(struct kvstore *store,
                      const struct kv_log *log,
                      const struct kv_index *index);

/* A log and its index that are not the handle's; or none. */
struct kv_pair {
    struct kv_log log;
    struct kv_index index;
};
void kv_pair_close(struct kv_pair *pair);

/* What the pair had before, which is to be closed: unmapping and closing what
 * has lost its name takes a while. */
bool kv_store_has_old(const struct kvstore *store);
struct kv_pair kv_store_take_old(struct kvstore *store);

#endif
