/* SPDX-License-Identifier: MIT */

/* The list of open handles for pthread_atfork. Apart from it, the library's
 * only state outside handles and threads is the note of its open descriptors,
 * and the mutex around cJSON's parser. */

#include "os/fork.h"

#include "os/descriptors.h"
#include "os/error.h"

#include <pthread.h>

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kv_fork_guard *guards;
static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static int install_result;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&list_mutex);
    kv_io_before_fork();
}

static void in_parent(void)
{
    kv_io_after_fork();
    (void)pthread_mutex_unlock(&list_mutex);
}

static void close_files(const struct kv_fork_guard *guard)
{
    for (int i = 0; i < KV_FORK_GUARD_FILES; i++) {
        if (guard->files[i] != NULL) {
            kv_io_close(guard->files[i]);
        }
    }
}

/* The descriptors of each handle are closed by now; this tells the handle. */
static void in_child(void)
{
    kv_io_after_fork_in_child();
    struct kv_fork_guard *guard = guards;
    guards = NULL;
    while (guard != NULL) {
        struct kv_fork_guard *next = guard->next;
        guard->previous = NULL;
        guard->next = NULL;
        atomic_store(&guard->is_child, true);
        close_files(guard);
        guard = next;
    }
    (void)pthread_mutex_unlock(&list_mutex);
}

static void install(void)
{
    install_result = pthread_atfork(before_fork, in_parent, in_child);
}

kvstore_status kv_fork_guard_add(struct kv_fork_guard *guard)
{
    (void)pthread_once(&install_once, install);
    if (install_result != 0) {
        return kv_fail_errno(
            KVSTORE_NO_MEMORY, install_result, "cannot watch for fork");
    }
    (void)pthread_mutex_lock(&list_mutex);
    atomic_store(&guard->is_child, false);
    guard->previous = NULL;
    guard->next = guards;
    if (guards != NULL) {
        guards->previous = guard;
    }
    guards = guard;
    (void)pthread_mutex_unlock(&list_mutex);
    return KVSTORE_OK;
}

void kv_fork_guard_remove(struct kv_fork_guard *guard)
{
    (void)pthread_mutex_lock(&list_mutex);
    if (guard->previous != NULL) {
        guard->previous->next = guard->next;
    } else if (guards == guard) {
        guards = guard->next;
    }
    if (guard->next != NULL) {
        guard->next->previous = guard->previous;
    }
    (void)pthread_mutex_unlock(&list_mutex);
}
