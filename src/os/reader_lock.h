/* SPDX-License-Identifier: MIT */

/* A lock for very many short readers and few writers, one at a time: readers on
 * different processors do not touch the same memory. Knows nothing of what it
 * guards. */

#ifndef KV_OS_READER_LOCK_H
#define KV_OS_READER_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define KV_READER_LOCK_STRIPES 16u

struct kv_reader_lock {
    pthread_mutex_t mutex; /* Held by the writer; readers wait at it. */
    atomic_bool has_writer;
    struct {
        atomic_uint readers;
        char apart[60]; /* No two counts are in one cache line. */
    } stripes[KV_READER_LOCK_STRIPES];
};

void kv_reader_lock_init(struct kv_reader_lock *lock);

/* No thread may hold it any more. */
void kv_reader_lock_destroy(struct kv_reader_lock *lock);

/* Not recursive: a waiting writer keeps new readers out. */
void kv_reader_lock_read(struct kv_reader_lock *lock);

/* Called by the thread that locked it. */
void kv_reader_lock_end_read(struct kv_reader_lock *lock);

/* Waits until all readers are gone. */
void kv_reader_lock_write(struct kv_reader_lock *lock);
void kv_reader_lock_end_write(struct kv_reader_lock *lock);

#endif
