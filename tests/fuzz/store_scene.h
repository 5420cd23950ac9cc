/* SPDX-License-Identifier: MIT */

/* A directory with a store in it that is laid out thousands of times a second,
 * on a memory file system, under a table of system calls that leaves nothing to
 * chance: the clock advances only by what is slept and by each look at it, nothing
 * is synced, and seeds, boot and mount are always the same. One of the calls can be
 * made to fail. One for the whole program. */

#ifndef STORE_SCENE_H
#define STORE_SCENE_H

#include "kvstore.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes the directory and puts the table in place. A second call does
 * nothing. */
void store_scene_begin(void);

/* Removes the directory. A failure does so, too. */
void store_scene_end(void);

/* Empties the directory, and goes back to the first seed. */
void store_scene_reset(void);

/* The directory. Valid until it is removed. */
const char *store_scene_path(void);

/* Whole files. The caller owns the bytes that are read; NULL: no such file. */
void store_scene_write(const char *name, const void *bytes, size_t size);
char *store_scene_read(const char *name, size_t *size_out);
void store_scene_remove(const char *name);

/* Writes in place, where programs may have the file mapped. */
void store_scene_overwrite(const char *name, const void *bytes, size_t size);

/* Gives the file another inode. */
void store_scene_replace(const char *name, const void *bytes, size_t size);
void store_scene_identity(const char *name,
                          uint64_t *device_out,
                          uint64_t *inode_out);

/* Lets the n-th call from now on fail that touches a file or asks for memory. */
void store_scene_fail_at(unsigned n, int error);

/* From now on no call fails. True if one has. */
bool store_scene_stop_failing(void);

/* Opens the store: unsynced, compacted by hand, its lock tried once. */
kvstore_status store_scene_open(bool is_read_only,
                                bool is_exclusive,
                                kvstore **store_out);

#endif
