/* SPDX-License-Identifier: MIT */

/* What has a reference enters it for as long as it uses the handle, and closing
 * waits for that. Not in a child of fork(), where the mutex may be locked for
 * ever: there a reference is never touched again. */

#include "store/ref.h"

#include "os/system.h"

#include <assert.h>
#include <pthread.h>

struct kv_store_ref {
    pthread_mutex_t mutex;
    pthread_cond_t has_left;
    struct kvstore *store; /* NULL: closed. */
    unsigned inside;
    unsigned shares;
};

struct kv_store_ref *kv_store_ref_create(struct kvstore *store)
{
    assert(store != NULL);
    struct kv_store_ref *ref = kv_io_allocate(sizeof *ref);
    if (ref != NULL) {
        (void)pthread_mutex_init(&ref->mutex, NULL);
        (void)pthread_cond_init(&ref->has_left, NULL);
        ref->store = store;
        ref->inside = 0;
        ref->shares = 1;
    }
    return ref;
}

struct kv_store_ref *kv_store_ref_share(struct kv_store_ref *ref)
{
    (void)pthread_mutex_lock(&ref->mutex);
    ref->shares++;
    (void)pthread_mutex_unlock(&ref->mutex);
    return ref;
}

void kv_store_ref_drop(struct kv_store_ref *ref)
{
    if (ref == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&ref->mutex);
    assert(ref->shares > 0);
    unsigned left = --ref->shares;
    (void)pthread_mutex_unlock(&ref->mutex);
    if (left == 0) {
        (void)pthread_cond_destroy(&ref->has_left);
        (void)pthread_mutex_destroy(&ref->mutex);
        kv_io_free(ref);
    }
}

struct kvstore *kv_store_ref_enter(struct kv_store_ref *ref)
{
    (void)pthread_mutex_lock(&ref->mutex);
    struct kvstore *store = ref->store;
    ref->inside += store != NULL ? 1 : 0;
    (void)pthread_mutex_unlock(&ref->mutex);
    return store;
}

void kv_store_ref_leave(struct kv_store_ref *ref)
{
    (void)pthread_mutex_lock(&ref->mutex);
    assert(ref->inside > 0);
    ref->inside--;
    (void)pthread_cond_broadcast(&ref->has_left);
    (void)pthread_mutex_unlock(&ref->mutex);
}

bool kv_store_ref_is_open(struct kv_store_ref *ref)
{
    (void)pthread_mutex_lock(&ref->mutex);
    bool is_open = ref->store != NULL;
    (void)pthread_mutex_unlock(&ref->mutex);
    return is_open;
}

void kv_store_ref_close(struct kv_store_ref *ref)
{
    if (ref == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&ref->mutex);
    ref->store = NULL;
    while (ref->inside > 0) {
        (void)pthread_cond_wait(&ref->has_left, &ref->mutex);
    }
    (void)pthread_mutex_unlock(&ref->mutex);
    kv_store_ref_drop(ref);
}
