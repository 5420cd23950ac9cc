/* SPDX-License-Identifier: MIT */

/* Brings an index up to its log: from nothing, or from where it is. */

#ifndef KV_INDEX_BUILD_H
#define KV_INDEX_BUILD_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"

#include <stdbool.h>
#include <stdint.h>

/* Folds the whole log, size bytes long and maybe padded, into a new index: in
 * an unnamed file of the directory, or, if that is NULL, in private memory. */
kvstore_status kv_build_index(const struct kv_log *log,
                              uint64_t size,
                              const struct kv_progress *progress,
                              const struct kv_io_file *directory,
                              struct kv_index *index_out,
                              struct kv_fold_result *result_out);

/* The same for a log, or a part of it from its beginning, of which the caller
 * knows whether padding may be at its end. */
kvstore_status kv_build_build_range(const struct kv_log *log,
                                    struct kv_fold_range range,
                                    const struct kv_io_file *directory,
                                    struct kv_index *index_out,
                                    struct kv_fold_result *result_out);

/* How far an index has caught up. If it is not whole, it holds all lines before
 * the one that it reached. */
enum kv_catch_up {
    KV_CATCH_UP_WHOLE,        /* Up to the end, or to a torn tail. */
    KV_CATCH_UP_LACKS_ROOM,   /* It is in use and full: a larger one has to take
                                 its place. */
    KV_CATCH_UP_MEETS_DAMAGE, /* Where it had to stop. */
};

/* Folds what the log has gained into the index. After a failure the index holds
 * all lines before the one that failed. */
kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 bool stops_at_damage,
                                 struct kv_index *index,
                                 enum kv_catch_up *outcome_out);

#endif
