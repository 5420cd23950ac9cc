/* SPDX-License-Identifier: MIT */

/* How a handle's pair of log and index is opened by name, and put in the
 * place of another. */

#ifndef KV_STORE_PAIR_H
#define KV_STORE_PAIR_H

#include "index/index.h"
#include "index/table.h"
#include "index/trust.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/system.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Checks whether the pair is up to date with the store. */
kvstore_status kv_store_is_up(struct kvstore *store,
                              bool *is_up_out) KV_READING;

/* True if the pair is certain to be up to date: nearly always. */
static inline bool kv_store_is_surely_up(const struct kvstore *store) KV_READING
{
    const struct kv_index *index = &store->index;
    int64_t checked_ns =
        atomic_load_explicit(&store->checked_ns, memory_order_relaxed);
    return index->is_shared &&
           atomic_load_explicit(&index->table.header->state,
                                memory_order_acquire) == KV_TABLE_LIVE &&
           kv_io_clock_coarse_ns() - checked_ns < KV_NAME_CHECK_NS;
}

/* Opens the pair by name, without the writers' lock, if its index can be
 * trusted; else changes nothing. If it is unusable, the last error says why.
 * has_more_out: there are lines after those of the index, which a process with
 * the lock should fold. may_check: where nobody else learns from it, an unchecked
 * index is checked against all of the log. */
kvstore_status kv_store_open_pair(struct kvstore *store,
                                  bool may_check,
                                  enum kv_index_file_trust *trust_out,
                                  bool *has_more_out) KV_GATED;

/* Opens the log that has the name now. */
kvstore_status kv_store_open_log(const struct kvstore *store,
                                 struct kv_log *log);

/* Returns the table of the pair's index, if it can notify others that it is
 * superseded: if it is shared and has its name. Else NULL. */
struct kv_table *kv_store_told_table(struct kvstore *store) KV_READING;

/* Puts another log and index in the place of the handle's; the handle owns them
 * from now on. */
void kv_store_install(struct kvstore *store,
                      const struct kv_log *log,
                      const struct kv_index *index) KV_GATED;

/* A log and its index that are not the handle's; or none. */
struct kv_pair {
    struct kv_log log;
    struct kv_index index;
};
void kv_pair_close(struct kv_pair *pair);

/* The previous pair, which must be closed: unmapping and closing what has lost
 * its name takes a while. */
bool kv_store_has_old(const struct kvstore *store) KV_GATED;
struct kv_pair kv_store_take_old(struct kvstore *store) KV_GATED;

/* What to call with the progress of a fold; or NULL. */
const struct kv_progress *kv_store_progress(
    const struct kvstore *store) KV_GATED;

/* What is known of the names of a shared pair's files. */
struct kv_store_names {
    bool are_ours;     /* Both files have their names, and the log is no shorter
                          than the index says; or all was well a moment ago. */
    bool were_checked; /* Just now, and this */
    uint64_t log_size; /* is the log's size. */
};

/* Checks the names, if must_check or if it has not for a while. */
kvstore_status kv_store_check_names(struct kvstore *store,
                                    bool must_check,
                                    struct kv_store_names *names_out)
    KV_READING;

/* Opens the pair by name. trust_out: how far the index can be trusted; if it is
 * untrusted or unusable, there is none. Else has_more_out: there are lines after
 * those of the index. */
kvstore_status kv_pair_open(const struct kvstore *store,
                            struct kv_pair *pair,
                            enum kv_index_file_trust *trust_out,
                            bool *has_more_out);

/* True if nobody learns from a check of the index by this handle: then it need not
 * keep others from writing. Else one checks for all, under the writers' lock. */
bool kv_pair_is_checked_alone(const struct kvstore *store,
                              const struct kv_pair *pair);

/* Checks an index that is unchecked against all of its log. It stays so if
 * something is written meanwhile, or a writer has died while it published. */
kvstore_status kv_pair_check(struct kvstore *store,
                             struct kv_pair *pair,
                             enum kv_index_file_trust *trust) KV_GATED;

#endif
