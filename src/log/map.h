/* SPDX-License-Identifier: MIT */

/* The bytes of a log in memory, for programs that read many lines of it. Knows
 * nothing of lines. */

#ifndef KV_LOG_MAP_H
#define KV_LOG_MAP_H

#include "os/file.h"

#include <stddef.h>
#include <stdint.h>

struct kv_log_map;

/* NULL where there is no memory, or no room for addresses: then the log is
 * read by system calls. */
struct kv_log_map *kv_log_map_create(void);

/* NULL is fine. Nobody reads by the map any more. */
void kv_log_map_free(struct kv_log_map *map);

/* Where the byte at an offset of the file stands, and how many bytes stand
 * there in a row, the end of the file apart: the caller touches none beyond it.
 * NULL: read the file. Holds until the map is freed. May be called by any number
 * of threads. */
const char *kv_log_map_find(struct kv_log_map *map,
                            const struct kv_io_file *file,
                            uint64_t offset,
                            uint64_t *count_out);

/* The same for a byte whose piece has been mapped by now: maps nothing, and does
 * not count as a read. */
const char *kv_log_map_peek(const struct kv_log_map *map, uint64_t offset);

#endif
