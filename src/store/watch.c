/* SPDX-License-Identifier: MIT */

/* The calls that watch a store. A thread that waits in one holds nothing, and
 * may be cancelled there. */

#include "kvstore.h"
#include "log/log.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/fork.h"
#include "os/system.h"
#include "store/handle.h"
#include "store/members.h"
#include "store/ref.h"
#include "store/store.h"
#include "store/watcher.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LOOK_NS INT64_C(10000000)
#define NS_PER_TIMEOUT_MS INT64_C(1000000)

/* --- Waiting --- */

static kvstore_status take_within(struct kvstore_watcher *watcher)
{
    int cancel = kv_cancel_hold();
    atomic_store(&watcher->is_inside, true);
    kvstore_status status = kv_watcher_take(watcher);
    atomic_store(&watcher->is_inside, false);
    kv_cancel_release(cancel);
    return status;
}

kvstore_status kvstore_watcher_next(kvstore_watcher *watcher,
                                    int32_t timeout_ms,
                                    const kvstore_change **change_out)
{
    if (change_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the change");
    }
    *change_out = NULL;
    if (watcher == NULL || timeout_ms < 0) {
        return kv_fail(KVSTORE_INVALID,
                       "the watcher is NULL, or the time negative");
    }
    if (kv_fork_guard_is_child(&watcher->guard)) {
        return kv_fail(KVSTORE_INVALID,
                       "a watcher cannot be used in a child of fork");
    }
    int64_t until_ns = timeout_ms == INT32_MAX
                           ? INT64_MAX
                           : kv_io_clock_ns() + timeout_ms * NS_PER_TIMEOUT_MS;
    for (;;) {
        kvstore_status status = take_within(watcher);
        if (status == KVSTORE_OK) {
            *change_out = &watcher->change;
        }
        int64_t left_ns =
            status == KVSTORE_NOT_FOUND ? until_ns - kv_io_clock_ns() : 0;
        if (left_ns <= 0) {
            return status;
        }
        kv_io_sleep_ns(left_ns < LOOK_NS ? left_ns : LOOK_NS);
    }
}

/* --- Creating and freeing --- */

static bool watch_options_are_valid(const kvstore_watch_options *options)
{
    size_t count = sizeof options->reserved / sizeof *options->reserved;
    return kv_members_are_known(options, options->size, sizeof *options) &&
           kv_members_are_zero(options->reserved, count) &&
           (options->prefix != NULL || options->prefix_size == 0);
}

static kvstore_status copy_options(struct kvstore_watcher *watcher,
                                   const kvstore_watch_options *options)
{
    watcher->changes.is_keys_only = options->keys_only;
    watcher->changes.prefix_size = options->prefix_size;
    if (options->prefix_size == 0) {
        return KVSTORE_OK;
    }
    watcher->prefix = kv_io_allocate(options->prefix_size);
    if (watcher->prefix == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memcpy(watcher->prefix, options->prefix, options->prefix_size);
    watcher->changes.prefix = watcher->prefix;
    return KVSTORE_OK;
}

static struct kvstore_watcher *create_watcher(void)
{
    struct kvstore_watcher *watcher = kv_io_allocate(sizeof *watcher);
    if (watcher == NULL) {
        return NULL;
    }
    memset(watcher, 0, sizeof *watcher);
    watcher->log = KV_LOG_NONE;
    watcher->next_log = KV_LOG_NONE;
    watcher->state = KV_INDEX_NONE;
    for (int i = 0; i < KV_FORK_GUARD_FILES; i++) {
        watcher->guard.files[i] =
            i == 0 ? &watcher->log.file : &watcher->next_log.file;
    }
    if (kv_fork_guard_add(&watcher->guard) != KVSTORE_OK) {
        kv_io_free(watcher);
        return NULL;
    }
    return watcher;
}

/* In a child of fork(), the thread that was changing it is not there. */
void kvstore_watcher_free(kvstore_watcher *watcher)
{
    if (watcher == NULL) {
        return;
    }
    int cancel = kv_cancel_hold();
    bool is_child = kv_fork_guard_is_child(&watcher->guard);
    kv_fork_guard_remove(&watcher->guard);
    if (!is_child) {
        kv_store_ref_drop(watcher->ref);
    }
    if (!is_child || !atomic_load(&watcher->is_inside)) {
        kv_log_close(&watcher->next_log);
        kv_log_close(&watcher->log);
        kv_index_release(&watcher->state);
        kv_changes_release(&watcher->changes);
        kv_io_free(watcher->prefix);
        kv_io_free(watcher);
    }
    kv_cancel_release(cancel);
}

/* Cancellation is held off. */
static kvstore_status begin_watch(const kvstore *store,
                                  const kvstore_watch_options *options,
                                  kvstore_watcher **watcher_out)
{
    struct kvstore_watcher *watcher = create_watcher();
    if (watcher == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    watcher->ref = kv_store_ref_share(store->ref);
    kvstore_status status = copy_options(watcher, options);
    if (status == KVSTORE_OK && !options->from_start) {
        status = kv_watcher_begin(watcher);
    }
    if (status != KVSTORE_OK) {
        kvstore_watcher_free(watcher);
        watcher = NULL;
    }
    *watcher_out = watcher;
    return status;
}

kvstore_status kvstore_watcher_create(const kvstore *store,
                                      const kvstore_watch_options *options,
                                      kvstore_watcher **watcher_out)
{
    static const kvstore_watch_options defaults = {.size = 0};
    if (watcher_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the watcher");
    }
    *watcher_out = NULL;
    options = options == NULL ? &defaults : options;
    if (store == NULL || !watch_options_are_valid(options)) {
        return kv_fail(KVSTORE_INVALID,
                       "the handle is NULL, or an option out of its bounds");
    }
    int cancel = kv_cancel_hold();
    kvstore_status status = kv_store_check_process(store);
    if (status == KVSTORE_OK) {
        status = begin_watch(store, options, watcher_out);
    }
    kv_cancel_release(cancel);
    return status;
}
