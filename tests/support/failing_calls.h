/* SPDX-License-Identifier: MIT */

/* Calls of the io table of which one fails, once: for tests that let each fail in
 * turn. A test puts those that it wants into a table of its own. */

#ifndef FAILING_CALLS_H
#define FAILING_CALLS_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Which of them from now on fails: 1 is the next one; 0: none does. */
extern int failing_call;

ssize_t failing_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t failing_pwrite(int fd, const void *bytes, size_t size, off_t offset);
int failing_fstatat(int dir_fd, const char *name, struct stat *stat_out);
void *failing_malloc(size_t size);

#endif
