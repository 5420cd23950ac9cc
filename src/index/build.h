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

/* has_lines_out: something other than blanks, padding, a torn tail or a missing
 * newline comes after what an index has, up to a size of the log. */
kvstore_status kv_build_has_lines(const struct kv_log *log,
                                  uint64_t size,
                                  const struct kv_index *index,
                                  bool *has_lines_out);

/* Counts how many keys the lines that a log has after an index can add to it; at
 * most that many, and often more than there are. */
kvstore_status kv_build_count_more(const struct kv_log *log,
                                   uint64_t size,
                                   const struct kv_index *index,
                                   uint64_t *more_keys_out);

/* Folds what the log has gained into an index that has room for it, and
 * publishes that. is_whole_out: up to the end, or to a torn tail; else it has
 * stopped at damage, as it was told to. A shared index is left in doubt by a
 * failure. */
kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 bool stops_at_damage,
                                 struct kv_index *index,
                                 bool *is_whole_out);

#endif
