/* SPDX-License-Identifier: MIT */

/* The barrier of kvstore_sync().
 *
 * Invariants:
 * 1. The kernel reports a failed write to each open file description once. So
 *    the barrier has one of its own, from when its log became the handle's
 *    until another log does: no other sync takes its reports away.
 * 2. Of two threads in one barrier, only one gets such a report. So they take
 *    turns, and the one that gets it notes that within its turn.
 * 3. While the disk works, a thread holds nothing but its turn.
 * 4. A barrier is freed by whoever uses it last. */

#include "store/barrier.h"

#include "log/log.h"
#include "os/error.h"
#include "os/file.h"
#include "os/system.h"

#include <pthread.h>
#include <stdatomic.h>

struct kv_barrier {
    struct kv_io_file file;
    uint64_t device;
    uint64_t inode;
    pthread_mutex_t turn;
    atomic_uint users; /* The handle, and each call that is under way. */
};

void kv_barrier_leave(struct kv_barrier *barrier)
{
    if (barrier != NULL && atomic_fetch_sub(&barrier->users, 1) == 1) {
        kv_io_close(&barrier->file);
        (void)pthread_mutex_destroy(&barrier->turn);
        kv_io_free(barrier);
    }
}

bool kv_barrier_is_of(const struct kv_barrier *barrier,
                      const struct kv_log *log)
{
    return barrier->device == log->device && barrier->inode == log->inode;
}

/* The name may be another file's by now. */
static kvstore_status open_file(const struct kv_io_file *directory,
                                const struct kv_log *log,
                                struct kv_barrier *barrier)
{
    struct kv_io_stat stat;
    kvstore_status status =
        kv_io_open(directory, KV_LOG_NAME, KV_IO_READ, &barrier->file);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(&barrier->file, &stat);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    barrier->device = stat.device;
    barrier->inode = stat.inode;
    return kv_barrier_is_of(barrier, log) ? KVSTORE_OK : KVSTORE_NOT_FOUND;
}

struct kv_barrier *kv_barrier_create(const struct kv_io_file *directory,
                                     const struct kv_log *log)
{
    kv_error_hold();
    struct kv_barrier *barrier = kv_io_allocate(sizeof *barrier);
    if (barrier != NULL) {
        *barrier = (struct kv_barrier){.file = KV_IO_FILE_NONE};
        (void)pthread_mutex_init(&barrier->turn, NULL);
        atomic_init(&barrier->users, 1);
        if (open_file(directory, log, barrier) != KVSTORE_OK) {
            kv_barrier_leave(barrier);
            barrier = NULL;
        }
    }
    kv_error_release();
    return barrier;
}

void kv_barrier_enter(struct kv_barrier *barrier)
{
    if (barrier != NULL) {
        atomic_fetch_add(&barrier->users, 1);
    }
}

void kv_barrier_abandon(struct kv_barrier *barrier)
{
    if (barrier != NULL) {
        barrier->file = KV_IO_FILE_NONE;
        kv_barrier_leave(barrier);
    }
}

void kv_barrier_begin_turn(struct kv_barrier *barrier)
{
    (void)pthread_mutex_lock(&barrier->turn);
}

void kv_barrier_end_turn(struct kv_barrier *barrier)
{
    (void)pthread_mutex_unlock(&barrier->turn);
}

kvstore_status kv_barrier_sync(const struct kv_barrier *barrier)
{
    return kv_io_sync_data(&barrier->file);
}
