/* SPDX-License-Identifier: MIT */

/* Which descriptors the library has open, whoever holds them at the moment: so
 * that a child of fork() can close them, also those of a call that another
 * thread was in the middle of. For os/file.c; knows no files. */

#ifndef KV_OS_DESCRIPTORS_H
#define KV_OS_DESCRIPTORS_H

#include <sys/stat.h>
#include <sys/types.h>

/* Around opening and closing: nobody forks meanwhile. */
void kv_io_descriptors_hold(void);
void kv_io_descriptors_let_go(void);

/* Held: the descriptor was opened, or is about to be closed. */
void kv_io_descriptors_add(int fd);
void kv_io_descriptors_remove(int fd);

/* Around fork(), for its handlers: no descriptor is opened or closed meanwhile.
 * In the child, all files and directories that are open by the calls above are
 * closed, whoever was to close them. */
void kv_io_before_fork(void);
void kv_io_after_fork(void);
void kv_io_after_fork_in_child(void);

/* Opens what is ours from now on, also in the eyes of a fork. */
int kv_io_descriptors_open(int dir_fd,
                           const char *name,
                           int flags,
                           mode_t mode);

/* Closes it, also in the eyes of a fork. */
void kv_io_descriptors_close(int fd);

#endif
