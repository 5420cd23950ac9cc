/* SPDX-License-Identifier: MIT */

/* Brings an index up to its log: from nothing, or from where it is. */

#ifndef KV_INDEX_BUILD_H
#define KV_INDEX_BUILD_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"

#include <stdint.h>

/* Folds the whole log, size bytes long and maybe padded, into a new index: in a file of the
 * directory without a name, or, where that is NULL, in private memory. */
kvstore_status kv_build_index(const struct kv_log *log,
                              uint64_t size,
                              const struct kv_progress *progress,
                              const struct kv_io_file *directory,
                              struct kv_index *index_out,
                              struct kv_fold_result *result_out);

/* The same for a log, or a part of it from the beginning on, of which is known
 * whether padding may be at its end. */
kvstore_status kv_build_build_range(const struct kv_log *log,
                                    struct kv_fold_range range,
                                    const struct kv_io_file *directory,
                                    struct kv_index *index_out,
                                    struct kv_fold_result *result_out);

/* Folds what the log has gained into the index. On a failure the index holds
 * all lines before the one that failed. KVSTORE_CONFLICT, without an error set:
 * it is live, and has to be switched for a larger one to go on. */
kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 struct kv_index *index,
                                 struct kv_fold_result *result_out);

#endif
