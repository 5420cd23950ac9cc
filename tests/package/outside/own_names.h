/* SPDX-License-Identifier: MIT */

/* Functions of the program's own, with names that modules of the library use
 * among themselves. Each returns how often it was called. */

#ifndef OWN_NAMES_H
#define OWN_NAMES_H

int kv_fail(void);
int kv_io_table(void);
int kv_log_append(void);

#endif
