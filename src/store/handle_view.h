/* SPDX-License-Identifier: MIT */

/* How a handle's view, its pair of log and index, is opened, followed and
 * changed. For handle.c, which holds the locks. */

#ifndef KV_HANDLE_VIEW_H
#define KV_HANDLE_VIEW_H

#include "index/keydir.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "store/handle.h"

#include <stdbool.h>
#include <stdint.h>

/* After this time, all have noticed that an index has lost its name. */
#define KV_UNTOLD_NS INT64_C(50000000)

/* Is the view up with the store? Under the view's lock. */
kvstore_status kv_view_is_up(struct kvstore *store, bool *is_up_out);

/* Opens the view by name, without the writers' lock. behind_out: there are
 * lines behind a trusted index, which somebody with the lock should look at.
 * KVSTORE_NOT_FOUND, without an error set: no index is to be trusted. */
kvstore_status kv_view_open(struct kvstore *store, bool *is_behind_out);

/* Opens the log that has the name now. */
kvstore_status kv_view_open_log(const struct kvstore *store,
                                struct kv_log *log);

/* Follows the log in private memory, without the writers' lock. */
kvstore_status kv_view_follow_privately(struct kvstore *store);

/* Opens the log by name and folds all of it in private memory. */
kvstore_status kv_view_load_privately(struct kvstore *store,
                                      bool is_locked,
                                      struct kv_fold_result *result_out);

/* Folds what a private view's log has gained. is_whole_out: that was enough;
 * else all of it has to be folded. */
kvstore_status kv_view_catch_up_privately(struct kvstore *store,
                                          bool is_locked,
                                          bool *is_whole_out,
                                          struct kv_fold_result *result_out);

/* Brings the view up under the writers' lock. must_check: look at the names
 * even if that was done a moment ago. is_whole_out: nothing stands behind the
 * last line for certain. */
kvstore_status kv_view_follow_locked(struct kvstore *store,
                                     bool must_check,
                                     bool *is_whole_out);

/* Mends the end of the log, which the view is up with, and makes that durable:
 * cuts a torn tail off, or adds the newline that is missing. Under the writers'
 * lock, and not where a newer version has written. KVSTORE_CONFLICT, without an
 * error set: somebody without the lock has appended meanwhile, so nothing is
 * mended, and the view is to be brought up again. */
kvstore_status kv_view_mend(struct kvstore *store);

/* Builds the index anew under the writers' lock. */
kvstore_status kv_view_rebuild_locked(struct kvstore *store);

/* Switches to a larger index, under the writers' lock. */
kvstore_status kv_view_grow(struct kvstore *store);

/* Has a sync of the view's log failed, here or elsewhere? */
bool kv_view_is_poisoned(struct kvstore *store);

/* It has, here. */
void kv_view_poison(struct kvstore *store);

/* The index of the view, if others can be told by it that it is superseded: if
 * it is live and has its name. Else NULL. */
struct kv_index *kv_view_told_index(struct kvstore *store);

/* Puts another pair in the view's place; both are the view's from now on. */
void kv_view_install(struct kvstore *store,
                     const struct kv_log *log,
                     const struct kv_keydir *keydir);

/* A log and its keydir that are not the view's; or none. */
struct kv_view_pair {
    struct kv_log log;
    struct kv_keydir keydir;
};
void kv_view_close_pair(struct kv_view_pair *pair);

/* What the view had before, which is to be closed: unmapping and closing what
 * has lost its name takes a while. */
bool kv_view_has_old(const struct kvstore *store);
struct kv_view_pair kv_view_take_old(struct kvstore *store);

#endif
