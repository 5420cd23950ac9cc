/* SPDX-License-Identifier: MIT */

/* A compaction, up to the rename, while nothing else writes. */

#ifndef COMPACTION_RUN_H
#define COMPACTION_RUN_H

#include "store/compaction.h"

/* Does what kv_compaction_begin(), _copy() and _sync() do to a pair. After a
 * failure there is no new pair. */
kvstore_status compaction_run(const struct kv_io_file *directory,
                              const struct kv_log *log,
                              const struct kv_index *index,
                              struct kv_log *log_out,
                              struct kv_index *index_out);

#endif
