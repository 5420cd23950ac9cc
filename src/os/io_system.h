/* SPDX-License-Identifier: MIT */

/* The table that is in use: the system's own, or one that a test has put in its
 * place. For io.c alone. */

#ifndef KV_IO_SYSTEM_H
#define KV_IO_SYSTEM_H

#include "os/io.h"

const struct kv_io_table *kv_io_table(void);

#endif
