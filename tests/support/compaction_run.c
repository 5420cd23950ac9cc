/* SPDX-License-Identifier: MIT */

#include "compaction_run.h"

kvstore_status compaction_run(const struct kv_io_file *directory,
                              const struct kv_log *log,
                              const struct kv_keydir *keydir,
                              struct kv_log *log_out,
                              struct kv_keydir *keydir_out)
{
    struct kv_compaction compaction = {.directory = directory,
                                       .log = log,
                                       .keydir = keydir,
                                       .new_log = KV_LOG_NONE,
                                       .new_keydir = KV_KEYDIR_NONE};
    *log_out = KV_LOG_NONE;
    *keydir_out = KV_KEYDIR_NONE;
    kvstore_status status = kv_compaction_begin(&compaction);
    if (status == KVSTORE_OK) {
        status = kv_compaction_copy(&compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_sync(&compaction);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_check(&compaction, &keydir->totals);
    }
    if (status == KVSTORE_OK) {
        *log_out = compaction.new_log;
        *keydir_out = compaction.new_keydir;
        keydir_out->totals.compactions = keydir->totals.compactions + 1;
        compaction.new_log = KV_LOG_NONE;
        compaction.new_keydir = KV_KEYDIR_NONE;
    }
    kv_compaction_release(&compaction);
    return status;
}
