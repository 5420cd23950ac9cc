/* SPDX-License-Identifier: MIT */

/* Locks on files, with a bounded wait. */

#ifndef KV_OS_LOCK_H
#define KV_OS_LOCK_H

#include "kvstore.h"
#include "os/file.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes the lock on a file or directory (flock): tries, spins a little, backs
 * off up to a millisecond. KVSTORE_BUSY after timeout_ms (0: try once,
 * INT32_MAX: never). waiting: if not NULL, set to the coarse time at each try
 * that fails. */
kvstore_status kv_io_lock(const struct kv_io_file *file,
                          int32_t timeout_ms,
                          _Atomic uint64_t *waiting);
void kv_io_unlock(const struct kv_io_file *file);

/* Takes the lock at once, or says that it is not free. */
kvstore_status kv_io_try_lock(const struct kv_io_file *file,
                              bool *is_locked_out);

/* Holds a file until it is closed, which excludes nobody, but is seen by whoever
 * asks. Asking leaves nothing that others could see. Both are of the open file:
 * a process does not see its own hold through the file that has it. */
kvstore_status kv_io_hold(const struct kv_io_file *file);
bool kv_io_is_held(const struct kv_io_file *file);

#endif
