/* SPDX-License-Identifier: MIT */

#include "compaction_run.h"

kvstore_status compaction_run(const struct kv_io_file *directory,
                              const struct kv_log *log,
                              const struct kv_index *index,
                              struct kv_log *log_out,
                              struct kv_index *index_out)
{
    struct kv_compaction compaction = {.directory = directory,
                                       .log = log,
                                       .index = index,
                                       .new_log = KV_LOG_NONE,
                                       .new_index = KV_INDEX_NONE};
    *log_out = KV_LOG_NONE;
    *index_out = KV_INDEX_NONE;
    kvstore_status status = kv_compaction_begin(&compaction);
    if (status == KVSTORE_OK) {
        status = kv_compaction_copy(&compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_sync(&compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_check(&compaction, &index->totals);
    }
    if (status == KVSTORE_OK) {
        *log_out = compaction.new_log;
        *index_out = compaction.new_index;
        index_out->totals.compactions = index->totals.compactions + 1;
        compaction.new_log = KV_LOG_NONE;
        compaction.new_index = KV_INDEX_NONE;
    }
    kv_compaction_release(&compaction);
    return status;
}
