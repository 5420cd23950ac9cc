/* SPDX-License-Identifier: MIT */

/* The memory that an index stands in: the shared file store.index, mapped by
 * all who have the store open, or private memory where that cannot be. Knows
 * which index may be trusted; nothing of keys and lines. */

#ifndef KV_INDEX_FILE_H
#define KV_INDEX_FILE_H

#include "index/table.h"
#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_INDEX_NAME "store.index"

struct kv_index_file {
    struct kv_io_file file; /* None: private memory. */
    void *region;           /* NULL: nothing at all. */
    size_t size;
    bool is_mapped; /* Else the region is private memory. */
    uint64_t device;
    uint64_t inode;
    bool is_writable;
    bool has_name; /* It is, or was, store.index. */
    char temporary_name[48];
};
#define KV_INDEX_FILE_NONE ((struct kv_index_file){.file = {.fd = -1}})

/* An empty index in private memory. */
kvstore_status kv_index_file_create_private(unsigned level,
                                            uint64_t seed,
                                            struct kv_index_file *file_out,
                                            struct kv_table *table_out);

/* An empty index in a new file store.index.<random>.tmp that is locked, has all
 * its room on the disk, and the mode and owner of a model. */
kvstore_status kv_index_file_create(const struct kv_io_file *directory,
                                    const struct kv_io_file *model,
                                    unsigned level,
                                    uint64_t seed,
                                    struct kv_index_file *file_out,
                                    struct kv_table *table_out);

/* Says which log, boot and mount an index that is about to be named belongs
 * to. */
kvstore_status kv_index_file_identify(struct kv_table *table,
                                      const struct kv_io_file *log,
                                      uint64_t log_device,
                                      uint64_t log_inode);

/* Takes along, from the index that has the name now, by which other mounts the
 * new one is known, too. Where that is none of this boot, or cannot be read, it
 * does nothing. */
void kv_index_file_take_mounts(const struct kv_io_file *directory,
                               struct kv_table *table);

/* Gives a new index the name store.index. */
kvstore_status kv_index_file_name(const struct kv_io_file *directory,
                                  struct kv_index_file *file);

/* How far an index by name may be believed. */
enum kv_index_file_trust {
    KV_INDEX_FILE_UNTRUSTED, /* Absent, foreign, stale, damaged, superseded. */
    KV_INDEX_FILE_UNSETTLED, /* Of this log, and its switch is not complete. */
    KV_INDEX_FILE_TRUSTED    /* Of this log; its slots hold in this kernel's
                          memory. */
};

/* Opens store.index. Where it is not to be trusted at all, file_out is none.
 * A failed system call is KV_INDEX_FILE_UNTRUSTED, too: the log is enough. */
enum kv_index_file_trust kv_index_file_open(
    const struct kv_io_file *directory,
    const struct kv_io_file *log,
    const struct kv_table_identity *identity,
    bool is_writable,
    struct kv_index_file *file_out,
    struct kv_table *table_out);

/* Maps an index that is open once more, to read it: for who goes on with it
 * while the other mapping may go. */
kvstore_status kv_index_file_share(const struct kv_index_file *file,
                                   struct kv_index_file *file_out,
                                   struct kv_table *table_out);

/* Is it what store.index is now? */
kvstore_status kv_index_file_is_current(const struct kv_io_file *directory,
                                        const struct kv_index_file *file,
                                        bool *is_current_out);

/* Removes what builders that died have left. Under the writers' lock. */
void kv_index_file_sweep(const struct kv_io_file *directory);

/* Unmaps, closes, frees; a temporary file loses its name. */
void kv_index_file_release(const struct kv_io_file *directory,
                           struct kv_index_file *file);

#endif
