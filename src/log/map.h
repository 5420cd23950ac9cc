/* SPDX-License-Identifier: MIT */

/* The bytes of a log in memory, for programs that read many lines of it. Knows
 * nothing of lines. */

#ifndef KV_LOG_MAP_H
#define KV_LOG_MAP_H

#include "os/file.h"

#include <stddef.h>
#include <stdint.h>

struct kv_log_map;

/* Returns NULL if there is no memory, or if addresses are scarce: then the log
 * is read by system calls. */
struct kv_log_map *kv_log_map_create(void);

/* NULL is fine. No thread may still read by the map. */
void kv_log_map_free(struct kv_log_map *map);

/* Returns where the byte at an offset of the file is, and how many bytes follow
 * each other there, up to the end of the file: the caller touches none past it.
 * NULL: read the file. Valid until the map is freed. May be called by any
 * number of threads. */
const char *kv_log_map_find(struct kv_log_map *map,
                            const struct kv_io_file *file,
                            uint64_t offset,
                            uint64_t *count_out);

/* The same for so many bytes. NULL also if they are not side by side. */
const char *kv_log_map_get(struct kv_log_map *map,
                           const struct kv_io_file *file,
                           uint64_t offset,
                           size_t size);

/* The same for a byte whose piece is mapped already: maps nothing, and does not
 * count as a read. */
const char *kv_log_map_peek(const struct kv_log_map *map, uint64_t offset);

#endif
