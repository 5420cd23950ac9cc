/* SPDX-License-Identifier: MIT */

/* The descriptors that the library has open, so that a child of fork() can
 * close them, including those of a call that another thread was in the middle
 * of. For os/file.c; knows no files. */

#ifndef KV_OS_DESCRIPTORS_H
#define KV_OS_DESCRIPTORS_H

#include <sys/stat.h>
#include <sys/types.h>

/* Called before and after opening or closing: no thread forks in between. */
void kv_io_descriptors_hold(void);
void kv_io_descriptors_let_go(void);

/* Called between those two, for a descriptor that was opened, or is about to be
 * closed. */
void kv_io_descriptors_add(int fd);
void kv_io_descriptors_remove(int fd);

/* For the handlers of fork(), before and after it: no descriptor is opened or
 * closed in between. In the child, closes all files and directories that the
 * calls above have added and not removed. */
void kv_io_before_fork(void);
void kv_io_after_fork(void);
void kv_io_after_fork_in_child(void);

/* Opens a file or directory, and adds its descriptor; no thread forks in
 * between. */
int kv_io_descriptors_open(int dir_fd,
                           const char *name,
                           int flags,
                           mode_t mode);

/* Removes a descriptor and closes it; no thread forks in between. */
void kv_io_descriptors_close(int fd);

#endif
