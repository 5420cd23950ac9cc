/* SPDX-License-Identifier: MIT */

/* A lock for readers on many processors: each thread counts itself in one of
 * several stripes, and only a writer reads all of them. Known as a big-reader
 * lock, after Linux's brlock of 2000.
 *
 * Invariant: a reader counts itself and then checks for a writer; a writer
 * announces itself and then checks the counts. All of these are sequentially
 * consistent, so at least one of the two sees the other. */

#include "os/reader_lock.h"

#include "kvstore.h"
#include "os/system.h"

#include <assert.h>
#include <stdint.h>

/* How often a writer checks whether the readers are gone, which takes them
 * microseconds. */
#define WRITER_PAUSE_NS 20000

void kv_reader_lock_init(struct kv_reader_lock *lock)
{
    (void)pthread_mutex_init(&lock->mutex, NULL);
    atomic_init(&lock->has_writer, false);
    for (unsigned i = 0; i < KV_READER_LOCK_STRIPES; i++) {
        atomic_init(&lock->stripes[i].readers, 0);
    }
}

void kv_reader_lock_destroy(struct kv_reader_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

/* The stripe of this thread, chosen by the address of its own memory. */
static atomic_uint *own_readers(struct kv_reader_lock *lock)
{
    uint64_t place = (uint64_t)(uintptr_t)kvstore_last_error();
    uint64_t mixed = place * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    return &lock->stripes[mixed % KV_READER_LOCK_STRIPES].readers;
}

KV_RARE static void read_after_writer(struct kv_reader_lock *lock)
{
    atomic_uint *readers = own_readers(lock);
    do {
        atomic_fetch_sub(readers, 1);
        (void)pthread_mutex_lock(&lock->mutex);
        (void)pthread_mutex_unlock(&lock->mutex);
        atomic_fetch_add(readers, 1);
    } while (atomic_load(&lock->has_writer));
}

void kv_reader_lock_read(struct kv_reader_lock *lock)
{
    atomic_fetch_add(own_readers(lock), 1);
    if (atomic_load(&lock->has_writer)) {
        read_after_writer(lock);
    }
}

void kv_reader_lock_end_read(struct kv_reader_lock *lock)
{
    unsigned before =
        atomic_fetch_sub_explicit(own_readers(lock), 1, memory_order_release);
    assert(before > 0);
    (void)before;
}

void kv_reader_lock_write(struct kv_reader_lock *lock)
{
    (void)pthread_mutex_lock(&lock->mutex);
    atomic_store(&lock->has_writer, true);
    for (unsigned i = 0; i < KV_READER_LOCK_STRIPES; i++) {
        while (atomic_load(&lock->stripes[i].readers) != 0) {
            kv_io_sleep_ns(WRITER_PAUSE_NS);
        }
    }
}

void kv_reader_lock_end_write(struct kv_reader_lock *lock)
{
    atomic_store(&lock->has_writer, false);
    (void)pthread_mutex_unlock(&lock->mutex);
}
