/* SPDX-License-Identifier: MIT */

/* The table that is in use: the system's own, or one that a test has put in its
 * place. For os/file.c alone. */

#ifndef KV_OS_SYSTEM_H
#define KV_OS_SYSTEM_H

#include "os/file.h"

const struct kv_io_table *kv_io_table(void);

#endif
