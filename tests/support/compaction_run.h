/* SPDX-License-Identifier: MIT */

/* A compaction in which nobody writes meanwhile, up to the rename. */

#ifndef COMPACTION_RUN_H
#define COMPACTION_RUN_H

#include "store/compaction.h"

/* What kv_compaction_begin(), _copy() and _sync() make of a pair. On a failure
 * there is no new one. */
kvstore_status compaction_run(const struct kv_io_file *directory,
                              const struct kv_log *log,
                              const struct kv_index *index,
                              struct kv_log *log_out,
                              struct kv_index *index_out);

#endif
