/* SPDX-License-Identifier: MIT */

/* Which descriptors the library has open, whoever holds them at the moment: so
 * that a child of fork() can close them, also those of a call that another
 * thread was in the middle of. For os/file.c; knows no files. */

#ifndef KV_OS_DESCRIPTORS_H
#define KV_OS_DESCRIPTORS_H

/* Around opening and closing: nobody forks meanwhile. */
void kv_io_descriptors_hold(void);
void kv_io_descriptors_let_go(void);

/* Held: the descriptor was opened, or is about to be closed. */
void kv_io_descriptors_add(int fd);
void kv_io_descriptors_remove(int fd);

#endif
