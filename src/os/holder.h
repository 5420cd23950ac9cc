/* SPDX-License-Identifier: MIT */

/* Which process holds a lock, as far as the system says. */

#ifndef KV_OS_HOLDER_H
#define KV_OS_HOLDER_H

#include "os/file.h"

#include <stdbool.h>
#include <stdint.h>

/* True if the system lists this process as the one that holds the exclusive
 * lock (flock) on a file or directory. False also if it lists nothing, as
 * without /proc. Sets no error. */
bool kv_io_is_locked_by(const struct kv_io_file *file, uint64_t process_id);

#endif
