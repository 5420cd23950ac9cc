/* SPDX-License-Identifier: MIT */

/* The memory that holds an index: the shared file store.index, mapped by all
 * processes that have the store open, or private memory where that cannot be.
 * Knows nothing of which index may be trusted, nor of keys and lines. */

#ifndef KV_INDEX_FILE_H
#define KV_INDEX_FILE_H

#include "index/header.h"
#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_INDEX_NAME "store.index"

struct kv_index_file {
    struct kv_io_file file; /* None: private memory. */
    void *region;           /* NULL: there is none. */
    size_t size;
    bool is_mapped; /* Else the region is private memory. */
    uint64_t device;
    uint64_t inode;
    bool is_writable;
    bool has_name; /* It is, or was, store.index. */
    char temporary_name[48];
};
#define KV_INDEX_FILE_NONE ((struct kv_index_file){.file = {.fd = -1}})

/* Creates the memory of an index, to be filled: in a new file
 * store.index.<random>.tmp that is locked, has all its room on the disk, and the
 * mode and owner of a model; or, if the directory is NULL, in private memory. It
 * is all zeros, and not mapped yet. */
kvstore_status kv_index_file_create(const struct kv_io_file *directory,
                                    const struct kv_io_file *model,
                                    uint64_t bucket_count,
                                    struct kv_index_file *file_out);

/* Writes slots to a file that was just created. */
kvstore_status kv_index_file_fill(struct kv_index_file *file,
                                  uint64_t offset,
                                  const void *bytes,
                                  size_t size);

/* Maps a file that was just created, and formats it as a table that has the
 * slots that were filled in. */
kvstore_status kv_index_file_format(struct kv_index_file *file,
                                    uint64_t bucket_count,
                                    const struct kv_table_secret *secret,
                                    struct kv_table *table_out);

/* True if the last call failed since there is no room for such a file, or the
 * system refuses it, which another try will not cure. */
bool kv_index_file_is_refused(void);

/* Gives a new index the name store.index. */
kvstore_status kv_index_file_name(const struct kv_io_file *directory,
                                  struct kv_index_file *file);

/* Takes the name store.index away, whatever index has it; not from what is no
 * regular file. Does not tell whether it could. */
void kv_index_file_unname(const struct kv_io_file *directory);

/* Holds an index that is trusted, for as long as the file is open, so that others
 * can learn of it (os/lock.h). If that fails, this handle vouches for nothing, but
 * works. */
void kv_index_file_hold(const struct kv_index_file *file);

/* Maps an open index once more, for reading: for a caller that goes on with it
 * when the other mapping may be gone. */
kvstore_status kv_index_file_share(const struct kv_index_file *file,
                                   struct kv_index_file *file_out,
                                   struct kv_table *table_out);

/* Finds out whether it is what store.index is now. */
kvstore_status kv_index_file_is_current(const struct kv_io_file *directory,
                                        const struct kv_index_file *file,
                                        bool *is_current_out);

/* Removes what dead builders have left. Only under the writers' lock. */
void kv_index_file_sweep(const struct kv_io_file *directory);

/* Unmaps, closes, frees; a temporary file loses its name. */
void kv_index_file_release(const struct kv_io_file *directory,
                           struct kv_index_file *file);

#endif
