/* SPDX-License-Identifier: MIT */

/* Whether store.index may be trusted: by its log, the system's boot, the mount
 * that it is seen through, and the processes that hold it. Knows nothing of
 * keys and lines. */

#ifndef KV_INDEX_TRUST_H
#define KV_INDEX_TRUST_H

#include "index/file.h"
#include "index/header.h"
#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stdint.h>

/* How far an index by name may be believed. */
enum kv_index_file_trust {
    KV_INDEX_FILE_UNTRUSTED, /* Absent, foreign, stale, damaged, superseded. */
    KV_INDEX_FILE_UNSETTLED, /* Of this log, and its switch is not complete. */
    KV_INDEX_FILE_TRUSTED    /* Of this log; its slots hold in this kernel's
                          memory. */
};

/* Opens store.index. If it is untrusted, file_out is none. A failed system call
 * is KV_INDEX_FILE_UNTRUSTED, too: the log is enough. */
enum kv_index_file_trust kv_index_file_open(
    const struct kv_io_file *directory,
    const struct kv_io_file *log,
    const struct kv_table_identity *identity,
    bool is_writable,
    struct kv_index_file *file_out,
    struct kv_table *table_out);

/* Notes in an index which log, boot and mount it belongs to, before it is
 * named. */
kvstore_status kv_index_file_identify(struct kv_table *table,
                                      const struct kv_io_file *log,
                                      uint64_t log_device,
                                      uint64_t log_inode);

/* Copies to a new index the other mounts by which the index that has the name
 * now is known. Does nothing if that one is not of this boot, cannot be read,
 * or could be written by a process that may not write the log. */
void kv_index_file_take_mounts(const struct kv_io_file *directory,
                               const struct kv_io_file *log,
                               struct kv_table *table);

#endif
