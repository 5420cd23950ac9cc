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
    KV_INDEX_FILE_UNUSABLE,  /* It may be true, but the system refuses a call
                                that it takes to use it: the last error. */
    KV_INDEX_FILE_UNCHECKED, /* Of this log, and perhaps of another boot: to be
                                checked against the log. */
    KV_INDEX_FILE_UNSETTLED, /* Of this log, and its switch is not complete. */
    KV_INDEX_FILE_TRUSTED    /* Of this log; its slots hold in this kernel's
                          memory. */
};

/* Which log an index must be of, and from where this process sees it. */
struct kv_index_view {
    struct kv_table_identity identity;
    uint64_t boot_id; /* 0: the system does not tell. */
    uint64_t mount_id;
};

/* Opens store.index. If it is untrusted or unusable, file_out is none. */
enum kv_index_file_trust kv_index_file_open(const struct kv_io_file *directory,
                                            const struct kv_io_file *log,
                                            const struct kv_index_view *view,
                                            bool is_writable,
                                            struct kv_index_file *file_out,
                                            struct kv_table *table_out);

/* True if the index has been found true in this boot; not if the boot is 0. */
bool kv_index_file_is_of_boot(const struct kv_table *table, uint64_t boot_id);

/* True if some process holds the index, as all do that trust it: so it has been in
 * memory ever since. */
bool kv_index_file_is_held(const struct kv_index_file *file);

/* Returns how far an index may be believed that was unchecked, and has been
 * found true to its log; and lets others that see it from here know. After a
 * reboot, a sync that failed before is forgotten: where the index is not of this
 * boot, the caller has the writers' lock, unless it is told none. */
enum kv_index_file_trust kv_index_file_vouch(const struct kv_index_file *file,
                                             const struct kv_table *table,
                                             const struct kv_index_view *view);

/* Notes in an index which log, boot and mount it belongs to, before it is
 * named. */
kvstore_status kv_index_file_identify(struct kv_table *table,
                                      const struct kv_io_file *log,
                                      uint64_t log_device,
                                      uint64_t log_inode);

/* Copies to a new index the other boots and mounts of the index that has the
 * name now, and whether a sync of the same log has failed. Does nothing if that
 * one is of another boot and held by nobody, cannot be read, or could be written
 * by a process that may not write the log. */
void kv_index_file_take_views(const struct kv_io_file *directory,
                              const struct kv_io_file *log,
                              struct kv_table *table);

#endif
