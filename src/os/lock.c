/* SPDX-License-Identifier: MIT */

/* flock(2), with a bounded wait; and locks of open files on their first byte
 * (fcntl_locking(2)), which can be asked for without a try. */

#include "os/lock.h"

#include "os/error.h"
#include "os/system.h"

#include <assert.h>
#include <errno.h>
#include <sys/file.h>

#define LOCK_SPINS 10
#define LOCK_FIRST_PAUSE_NS 20000
#define LOCK_LONGEST_PAUSE_NS 1000000

kvstore_status kv_io_lock(const struct kv_io_file *file,
                          int32_t timeout_ms,
                          _Atomic uint64_t *waiting)
{
    assert(timeout_ms >= 0);
    int64_t deadline_ns = -1;
    int64_t pause_ns = LOCK_FIRST_PAUSE_NS;
    for (uint64_t attempt = 0;; attempt++) {
        if (kv_io_table()->flock(file->fd, LOCK_EX | LOCK_NB) == 0) {
            return KVSTORE_OK;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EWOULDBLOCK) {
            return kv_fail_errno(
                KVSTORE_IO, errno, "cannot lock %s", file->name);
        }
        int64_t now_ns = kv_io_table()->clock_ns();
        if (waiting != NULL) {
            atomic_store_explicit(waiting,
                                  (uint64_t)kv_io_table()->clock_coarse_ns(),
                                  memory_order_relaxed);
        }
        if (deadline_ns < 0) {
            deadline_ns = now_ns + (int64_t)timeout_ms * 1000000;
        }
        if (timeout_ms != INT32_MAX && now_ns >= deadline_ns) {
            return kv_fail(KVSTORE_BUSY,
                           "busy: another process holds the lock on %s",
                           file->name);
        }
        if (attempt >= LOCK_SPINS) {
            kv_io_table()->sleep_ns(pause_ns);
            pause_ns *= 2;
        }
        if (pause_ns > LOCK_LONGEST_PAUSE_NS) {
            pause_ns = LOCK_LONGEST_PAUSE_NS;
        }
    }
}

void kv_io_unlock(const struct kv_io_file *file)
{
    (void)kv_io_table()->flock(file->fd, LOCK_UN);
}

kvstore_status kv_io_try_lock(const struct kv_io_file *file,
                              bool *is_locked_out)
{
    int result = 0;
    do {
        result = kv_io_table()->flock(file->fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    *is_locked_out = result == 0;
    if (result != 0 && errno != EWOULDBLOCK) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot lock %s", file->name);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_hold(const struct kv_io_file *file)
{
    return kv_io_table()->hold(file->fd) == 0
               ? KVSTORE_OK
               : kv_fail_errno(KVSTORE_IO, errno, "cannot lock %s", file->name);
}

bool kv_io_is_held(const struct kv_io_file *file)
{
    return kv_io_table()->is_held(file->fd);
}
