/* SPDX-License-Identifier: MIT */

/* Directories of stores: made, measured and removed. */

#ifndef BENCH_DIRECTORY_H
#define BENCH_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

/* Removes a directory and all in it; does nothing if there is none. */
void bench_directory_remove(const char *path);

/* Makes an empty directory, in place of any that is there. */
bool bench_directory_make(const char *path);

/* Copies the files of a directory into another one and brings them to the disk;
 * except: the name of a file to leave out, or NULL. */
bool bench_directory_copy(const char *from, const char *to, const char *except);

/* The bytes that its files take on the disk, and the sum of their lengths. */
void bench_directory_size(const char *path,
                          uint64_t *allocated_out,
                          uint64_t *length_out);

#endif
