/* SPDX-License-Identifier: MIT */

/* Mappings of files, and the room on the disk that they need. */

#ifndef KV_OS_MAP_H
#define KV_OS_MAP_H

#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives a new file its size, with room on the disk for all of it: what is
 * mapped later must not run into a full disk. */
kvstore_status kv_io_allocate_blocks(const struct kv_io_file *file,
                                     uint64_t size);

/* Maps size bytes of a file from an offset on, shared with all other mappings.
 * They may extend past its end; those bytes must not be touched. */
kvstore_status kv_io_map(const struct kv_io_file *file,
                         uint64_t offset,
                         size_t size,
                         bool is_writable,
                         void **memory_out);
void kv_io_unmap(void *memory, size_t size);

/* Brings all pages of a writable mapping into memory, ready to be written:
 * faster than touching each, and what cannot be written is an error here rather
 * than a SIGBUS later. Does nothing if the system has no such call. */
kvstore_status kv_io_populate(const struct kv_io_file *file,
                              void *memory,
                              size_t size);

/* True if the file is on a file system that is known to keep what is stored in
 * a mapping as safely as what is written. */
bool kv_io_takes_mapped_writes(const struct kv_io_file *file);

#endif
