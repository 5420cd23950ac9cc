/* SPDX-License-Identifier: MIT */

/* Opening and closing a store. */

#include "index/file.h"
#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/bounds.h"
#include "os/cancel.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/file.h"
#include "os/fork.h"
#include "os/gate.h"
#include "os/lock.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/barrier.h"
#include "store/compact.h"
#include "store/handle.h"
#include "store/members.h"
#include "store/ref.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/* --- Options --- */

void kvstore_options_init(kvstore_options *options)
{
    if (options != NULL) {
        *options = (kvstore_options)KVSTORE_OPTIONS_INIT;
    }
}

/* Of programs that were built before there were warnings. */
#define FIRST_OPTIONS_SIZE offsetof(kvstore_options, warning)
#define OPTIONS_SIZE_MAX 4096u

/* True if so many bytes that this version does not know ask for nothing. */
static bool is_all_zero(const char *bytes, size_t size)
{
    bool is_zero = true;
    for (size_t i = 0; i < size; i++) {
        is_zero &= bytes[i] == 0;
    }
    return is_zero;
}

/* Takes the options as far as the program knows them. False: it asks for more
 * than this version has. */
static bool take_options(const kvstore_options *options,
                         kvstore_options *taken_out)
{
    size_t size = options->size == 0 ? sizeof *options : options->size;
    size_t known = size < sizeof *options ? size : sizeof *options;
    if ((known != FIRST_OPTIONS_SIZE && known != sizeof *options) ||
        size > OPTIONS_SIZE_MAX ||
        !is_all_zero((const char *)options + known, size - known)) {
        return false;
    }
    *taken_out = (kvstore_options){.size = sizeof *options};
    memcpy(taken_out, options, known);
    return true;
}

static bool options_are_valid(const kvstore_options *options)
{
    size_t count = sizeof options->reserved / sizeof *options->reserved;
    return kv_members_are_zero(options->reserved, count) &&
           (options->sync == KVSTORE_SYNC_ALWAYS ||
            options->sync == KVSTORE_SYNC_NONE) &&
           options->compaction >= KVSTORE_COMPACT_BACKGROUND &&
           options->compaction <= KVSTORE_COMPACT_MANUAL &&
           options->lock_timeout_ms >= -1 && options->compaction_percent <= 100;
}

static uint64_t effective_threshold(uint64_t stale_bytes)
{
    return stale_bytes == 0 ? KV_COMPACTION_THRESHOLD_DEFAULT : stale_bytes;
}

static int32_t effective_timeout(int32_t lock_timeout_ms)
{
    if (lock_timeout_ms == -1) {
        return 0;
    }
    return lock_timeout_ms == 0 ? KV_LOCK_TIMEOUT_MS_DEFAULT : lock_timeout_ms;
}

static void apply_options(kvstore *store, const kvstore_options *options)
{
    store->is_durable = options->sync == KVSTORE_SYNC_ALWAYS;
    store->is_exclusive = options->exclusive && !options->read_only;
    store->is_read_only = options->read_only;
    store->lock_timeout_ms = effective_timeout(options->lock_timeout_ms);
    store->progress = (struct kv_progress){
        .tell = options->progress, .context = options->progress_context};
    struct kv_compactor *compactor = &store->compactor;
    compactor->mode = options->compaction;
    compactor->threshold_percent = options->compaction_percent == 0
                                       ? KV_COMPACTION_PERCENT_DEFAULT
                                       : options->compaction_percent;
    atomic_init(&compactor->threshold_bytes,
                effective_threshold(options->compaction_threshold));
}

void kvstore_set_compaction_threshold(kvstore *store, uint64_t stale_bytes)
{
    if (store != NULL) {
        atomic_store(&store->compactor.threshold_bytes,
                     effective_threshold(stale_bytes));
    }
}

/* --- Files --- */

static kvstore_status no_store(void)
{
    return kv_fail_errno(KVSTORE_IO, ENOENT, "the directory holds no store");
}

static kvstore_status open_directory(kvstore *store,
                                     const char *path,
                                     bool may_create)
{
    kvstore_status status = kv_io_open_directory(path, &store->directory);
    if (status != KVSTORE_OK && may_create &&
        kvstore_last_error()->system_errno == ENOENT) {
        status = kv_io_make_directories(path);
        if (status == KVSTORE_OK) {
            status = kv_io_open_directory(path, &store->directory);
        }
    }
    if (status != KVSTORE_OK && !may_create &&
        kvstore_last_error()->system_errno == ENOENT) {
        status = no_store();
    }
    return status;
}

static kvstore_status open_files(kvstore *store,
                                 const char *path,
                                 bool may_create)
{
    bool is_remote = false;
    kvstore_status status = open_directory(store, path, may_create);
    if (status == KVSTORE_OK) {
        status = kv_io_is_remote(&store->directory, &is_remote);
    }
    if (status == KVSTORE_OK && is_remote) {
        status = kv_fail(KVSTORE_UNSUPPORTED,
                         "network file systems are not supported");
    }
    if (status == KVSTORE_OK && store->is_exclusive) {
        status = kv_io_lock(&store->directory, store->lock_timeout_ms, NULL);
    }
    return status;
}

static kvstore_status find_name(const kvstore *store,
                                const char *name,
                                bool *is_there_out)
{
    struct kv_io_stat stat;
    kvstore_status status = kv_io_stat_name(&store->directory, name, &stat);
    *is_there_out = status == KVSTORE_OK;
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

/* is_there_out: there is a log by now. Where there is an index and no log, the
 * log has been moved away: an empty one in its place would hide that. A log is
 * made before its index, and so is looked for after it. */
static kvstore_status find_log(const kvstore *store, bool *is_there_out)
{
    bool has_index = false;
    *is_there_out = false;
    kvstore_status status = find_name(store, KV_INDEX_NAME, &has_index);
    if (status == KVSTORE_OK) {
        status = find_name(store, KV_LOG_NAME, is_there_out);
    }
    return status == KVSTORE_OK && has_index && !*is_there_out
               ? kv_fail(KVSTORE_IO,
                         "%s is gone, and %s is there: bring the log back, or "
                         "delete %s to begin an empty store",
                         KV_LOG_NAME,
                         KV_INDEX_NAME,
                         KV_INDEX_NAME)
               : status;
}

/* Under the writers' lock, since others may be doing the same. */
static kvstore_status create_log_locked(kvstore *store)
{
    bool is_there = false;
    kvstore_status status = find_log(store, &is_there);
    if (status == KVSTORE_OK && !is_there) {
        struct kv_log log = KV_LOG_NONE;
        status = kv_log_create(&store->directory, &log);
        kv_log_close(&log);
        store->has_made_log = status == KVSTORE_OK;
    }
    return status;
}

static kvstore_status create_log(kvstore *store)
{
    if (store->is_exclusive) {
        return create_log_locked(store);
    }
    kvstore_status status =
        kv_io_lock(&store->directory, store->lock_timeout_ms, NULL);
    if (status == KVSTORE_OK) {
        status = create_log_locked(store);
        kv_io_unlock(&store->directory);
    }
    return status;
}

/* Makes a store where there is none. */
static kvstore_status create(kvstore *store, const char *path)
{
    /* The directories are there; this syncs them. */
    kvstore_status status = kv_io_make_directories(path);
    if (status == KVSTORE_OK) {
        status = create_log(store);
    }
    if (status == KVSTORE_OK) {
        status = kv_store_load(store);
    }
    store->has_made_log = false;
    return status;
}

static kvstore_status load_or_create(kvstore *store,
                                     const char *path,
                                     bool may_create)
{
    kvstore_status status = kv_store_load(store);
    bool is_absent =
        status == KVSTORE_IO && kvstore_last_error()->system_errno == ENOENT;
    if (!is_absent) {
        return status;
    }
    bool is_there = false;
    status = find_log(store, &is_there);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (is_there) {
        return kv_store_load(store);
    }
    return may_create ? create(store, path) : no_store();
}

/* --- The handle --- */

static kvstore_status init_locks(kvstore *store)
{
    kvstore_status status = kv_gate_init(&store->gate);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_gate_init(&store->compactor.gate);
    if (status != KVSTORE_OK) {
        kv_gate_destroy(&store->gate);
        return status;
    }
    kv_reader_lock_init(&store->reader_lock);
    (void)pthread_mutex_init(&store->compactor.mutex, NULL);
    (void)pthread_mutex_init(&store->sync_mutex, NULL);
    return KVSTORE_OK;
}

static void destroy_locks(kvstore *store)
{
    (void)pthread_mutex_destroy(&store->sync_mutex);
    (void)pthread_mutex_destroy(&store->compactor.mutex);
    kv_reader_lock_destroy(&store->reader_lock);
    kv_gate_destroy(&store->compactor.gate);
    kv_gate_destroy(&store->gate);
}

/* Creates a handle without files, registered with the fork guard. */
static kvstore_status create_handle(const kvstore_options *options,
                                    kvstore **store_out)
{
    kvstore *store = kv_io_allocate(sizeof *store);
    if (store == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memset(store, 0, sizeof *store);
    store->directory = KV_IO_FILE_NONE;
    store->log = KV_LOG_NONE;
    store->index = KV_INDEX_NONE;
    store->old_log = KV_LOG_NONE;
    store->old_index = KV_INDEX_NONE;
    store->guard.files[0] = &store->directory;
    store->guard.files[1] = &store->log.file;
    store->guard.files[2] = &store->index.memory.file;
    store->guard.files[3] = &store->old_log.file;
    store->guard.files[4] = &store->old_index.memory.file;
    store->process_id = kv_io_process_id();
    atomic_init(&store->checked_ns, KV_NEVER_NS);
    store->looked_ns = KV_NEVER_NS;
    apply_options(store, options);
    kv_warnings_init(
        &store->warnings, options->warning, options->warning_context);
    store->ref = kv_store_ref_create(store);
    kvstore_status status =
        store->ref == NULL ? KVSTORE_NO_MEMORY : init_locks(store);
    if (status == KVSTORE_OK) {
        status = kv_fork_guard_add(&store->guard);
        if (status != KVSTORE_OK) {
            destroy_locks(store);
        }
    }
    if (status != KVSTORE_OK) {
        kv_warnings_destroy(&store->warnings);
        kv_store_ref_drop(store->ref);
        kv_io_free(store);
        return status;
    }
    *store_out = store;
    return KVSTORE_OK;
}

static kvstore_status open_handle(kvstore *store,
                                  const char *dir,
                                  bool may_create)
{
    kv_error_hold();
    kvstore_status status = kv_io_boot_id(&store->boot_id);
    if (status == KVSTORE_OK) {
        status = open_files(store, dir, may_create);
    }
    if (status == KVSTORE_OK) {
        status = load_or_create(store, dir, may_create);
    }
    /* A store that has just been made was looked for first. */
    return kv_error_release_after(status);
}

kvstore_status kvstore_open(const char *dir,
                            const kvstore_options *options,
                            kvstore **store_out)
{
    static const kvstore_options defaults = KVSTORE_OPTIONS_INIT;
    if (store_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the handle");
    }
    *store_out = NULL;
    if (dir == NULL || dir[0] == '\0') {
        return kv_fail(KVSTORE_INVALID, "no directory is named");
    }
    kvstore_options taken;
    if (!take_options(options == NULL ? &defaults : options, &taken) ||
        !options_are_valid(&taken)) {
        return kv_fail(KVSTORE_INVALID, "an option is out of its bounds");
    }
    kvstore *store = NULL;
    int cancel = kv_cancel_hold();
    kvstore_status status = create_handle(&taken, &store);
    if (status == KVSTORE_OK) {
        status = open_handle(store, dir, !taken.no_create && !taken.read_only);
        if (status != KVSTORE_OK) {
            kvstore_close(store);
            store = NULL;
        }
    }
    kv_cancel_release(cancel);
    *store_out = store;
    if (store != NULL) {
        kv_store_tell_warnings(store);
    }
    return status;
}

void kvstore_close(kvstore *store)
{
    if (store == NULL) {
        return;
    }
    bool is_whole = true;
    int cancel = kv_cancel_hold();
    bool is_child = kv_fork_guard_is_child(&store->guard);
    if (!is_child) {
        kv_store_ref_close(store->ref);
        kv_store_stop_compacting(store);
        kv_store_tell_warnings(store);
    }
    kv_fork_guard_remove(&store->guard);
    if (is_child) {
        kv_barrier_abandon(store->barrier);
        /* A thread of the parent may have been using the locks at the fork, and
         * have been in the middle of changing the pair: its memory stays. */
        is_whole = !kv_gate_was_taken(&store->gate);
    } else {
        kv_log_trim(&store->log);
        kv_barrier_leave(store->barrier);
        /* A child may not have closed its descriptor yet. */
        kv_io_unlock(&store->directory);
        destroy_locks(store);
        kv_warnings_destroy(&store->warnings);
    }
    if (is_whole) {
        kv_store_unload(store);
    }
    kv_io_close(&store->directory);
    kv_io_free(store);
    kv_cancel_release(cancel);
}

const char *kvstore_version(void)
{
    return KVSTORE_VERSION;
}
