/* SPDX-License-Identifier: MIT */

/* The calls that change a store, and the order of their steps. A set is: encode
 * one line, take the lock, append, sync, apply to the index, compact if that is
 * due, release the lock. */

#include "engine.h"

#include <assert.h>
#include <string.h>

#include "bounds.h"
#include "command.h"
#include "compaction.h"
#include "error.h"
#include "handle.h"
#include "keydir.h"
#include "kvstore.h"

/* Lines up to this size are encoded without an allocation. */
#define SHORT_LINE_SIZE 1024

/* --- Compaction; within a write --- */

/* Puts the new log and its index in the old ones' place. */
static void adopt_compacted(kvstore *store,
                            struct kv_log *log,
                            struct kv_keydir *keydir)
{
    (void)pthread_rwlock_wrlock(&store->view_lock);
    kv_log_close(&store->log);
    kv_keydir_release(&store->keydir);
    store->log = *log;
    store->keydir = *keydir;
    store->compactions++;
    atomic_store(&store->synced, keydir->index.header->applied);
    atomic_store(&store->is_poisoned, false);
    atomic_store(&store->owes_directory, false);
    (void)pthread_rwlock_unlock(&store->view_lock);
}

/* Compacts once. The view is held for reading: others read on, and nobody
 * changes the index meanwhile. */
static kvstore_status compact_once(kvstore *store)
{
    struct kv_log log;
    struct kv_keydir keydir;
    (void)pthread_rwlock_rdlock(&store->view_lock);
    kvstore_status status = kv_compaction_run(
        &store->directory, &store->log, &store->keydir, &log, &keydir);
    (void)pthread_rwlock_unlock(&store->view_lock);
    if (keydir.region != NULL) {
        adopt_compacted(store, &log, &keydir);
        if (status != KVSTORE_OK) {
            /* The rename may yet be undone by a power cut. */
            atomic_store(&store->is_poisoned, true);
        }
        return status;
    }
    bool says_why = status == KVSTORE_NO_MEMORY || status == KVSTORE_BUSY ||
                    status == KVSTORE_CORRUPT;
    return says_why || status == KVSTORE_OK
               ? status
               : kv_fail_as(KVSTORE_COMPACTION_FAILED);
}

static kvstore_status compact(kvstore *store)
{
    kvstore_status status = compact_once(store);
    if (status == KVSTORE_CORRUPT) {
        /* The index is a cache that may lie; the log does not. */
        status = kv_handle_rebuild(store);
        if (status == KVSTORE_OK) {
            status = compact_once(store);
        }
        if (status == KVSTORE_CORRUPT) {
            status = kv_fail_as(KVSTORE_COMPACTION_FAILED);
        }
    }
    if (status != KVSTORE_OK) {
        /* A rename that was reported as failed may have happened. */
        atomic_store(&store->is_end_known, false);
    }
    const struct kv_index_counts *counts = &store->keydir.index.header->counts;
    store->compaction_retry_bytes =
        status == KVSTORE_OK
            ? 0
            : counts->stale_bytes + atomic_load(&store->compaction_threshold);
    return status;
}

static void compact_if_due(kvstore *store)
{
    if (!store->compacts_when_due) {
        return;
    }
    (void)pthread_rwlock_rdlock(&store->view_lock);
    const struct kv_index_header *header = store->keydir.index.header;
    bool is_due = header->counts.stale_bytes >=
                      store->compaction_retry_bytes &&
                  kv_compaction_is_due(
                      &header->counts,
                      header->applied,
                      atomic_load(&store->compaction_threshold),
                      store->compaction_percent);
    (void)pthread_rwlock_unlock(&store->view_lock);
    if (is_due) {
        kvstore_error before = *kvstore_last_error();
        (void)compact(store);
        kv_fail_again(&before);
    }
}

kvstore_status kvstore_compact(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = kv_handle_begin_write(store, true);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = compact(store);
    kv_handle_end_write(store);
    return status;
}

/* --- Writing; within a write --- */

/* Appends a line at the end of the log; durably, if the handle is. What cannot
 * be acknowledged is cut off again. If that fails, too, the line is torn, or
 * whole and as good as any that was written when its writer died. */
static kvstore_status
append(kvstore *store, const char *line, size_t size, uint64_t offset)
{
    if (size > KV_OFFSET_MAX - offset) {
        return kv_fail(
            KVSTORE_TOO_LARGE, "%s is at its limit of 16 TiB", KV_LOG_NAME);
    }
    kvstore_status status =
        kv_io_write(&store->log.file, offset, line, size);
    if (status == KVSTORE_OK && store->is_durable) {
        status = kv_handle_sync(store, offset + size);
    }
    if (status != KVSTORE_OK) {
        kvstore_error reason = *kvstore_last_error();
        (void)kv_io_truncate(&store->log.file, offset);
        kv_fail_again(&reason);
        atomic_store(&store->is_end_known, false);
    }
    return status;
}

/* Applies the line that was appended. A reader may have done so already; and
 * what cannot be applied now is applied by whoever follows the log next. */
static void publish(kvstore *store,
                    const struct kv_command_plan *plan,
                    const char *line,
                    uint64_t offset)
{
    struct kv_command command = {
        .type = plan->type,
        .has_key = true,
        .key = kv_text_plain(plan->key, plan->key_size)};
    struct kv_fold_item item = {
        .pointer = {.offset = offset, .length = plan->line_size},
        .bytes = line,
        .size = plan->line_size - 1,
        .type = plan->type,
        .command = &command};
    (void)pthread_rwlock_wrlock(&store->view_lock);
    if (store->keydir.index.header->applied == offset) {
        kvstore_error before = *kvstore_last_error();
        if (kv_keydir_apply(&store->keydir, &store->log, &item) !=
            KVSTORE_OK) {
            atomic_store(&store->is_end_known, false);
        }
        kv_fail_again(&before);
    }
    (void)pthread_rwlock_unlock(&store->view_lock);
}

/* Also tells where the log ends: readers may change the view at any time, as
 * soon as it is not held. */
static kvstore_status make_room(kvstore *store,
                                const struct kv_command_plan *plan,
                                uint64_t *end_out)
{
    (void)pthread_rwlock_wrlock(&store->view_lock);
    kvstore_status status = kv_keydir_make_room(
        &store->keydir, &store->log, plan->key, plan->key_size);
    *end_out = store->keydir.index.header->applied;
    (void)pthread_rwlock_unlock(&store->view_lock);
    return status;
}

static kvstore_status write_record(kvstore *store,
                                   const struct kv_command_plan *plan,
                                   const char *line)
{
    uint64_t offset = 0;
    kvstore_status status = make_room(store, plan, &offset);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = append(store, line, plan->line_size, offset);
    if (status == KVSTORE_OK) {
        publish(store, plan, line, offset);
    }
    return status;
}

/* --- The calls that write --- */

/* Encodes a planned line; into short_line where it fits. */
static char *encode(const struct kv_command_plan *plan, char *short_line)
{
    char *line = plan->line_size <= SHORT_LINE_SIZE
                     ? short_line
                     : kv_io_allocate(plan->line_size);
    if (line != NULL) {
        kv_command_encode(plan, line);
    }
    return line;
}

kvstore_status kvstore_set(kvstore *store,
                           const void *key,
                           size_t key_size,
                           const void *value,
                           size_t value_size)
{
    kvstore_status status = kv_engine_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (value == NULL && value_size > 0) {
        return kv_fail(KVSTORE_INVALID, "the value is NULL");
    }
    if (value_size > KV_VALUE_SIZE_MAX) {
        return kv_fail(KVSTORE_TOO_LARGE,
                       "a value may have %u bytes, not %zu",
                       KVSTORE_VALUE_SIZE_MAX,
                       value_size);
    }
    struct kv_command_plan plan = kv_command_plan_set(
        key, key_size, value == NULL ? "" : value, value_size);
    char short_line[SHORT_LINE_SIZE];
    char *line = encode(&plan, short_line);
    if (line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    status = kv_handle_begin_write(store, false);
    if (status == KVSTORE_OK) {
        status = write_record(store, &plan, line);
        if (status == KVSTORE_OK) {
            compact_if_due(store);
        }
        kv_handle_end_write(store);
    }
    if (line != short_line) {
        kv_io_free(line);
    }
    return status;
}

/* Is there anything to remove? A line that tells the key and cannot be served
 * is. */
static kvstore_status find_to_remove(kvstore *store,
                                     const void *key,
                                     size_t key_size,
                                     bool *is_there_out)
{
    struct kv_keydir_find find;
    (void)pthread_rwlock_rdlock(&store->view_lock);
    kvstore_status status = kv_keydir_find(
        &store->keydir, &store->log, key, key_size, &find);
    if (status == KVSTORE_OK) {
        bool is_flagged = find.flagged_offset != KV_NO_OFFSET &&
                          (!find.is_found ||
                           find.flagged_offset > find.pointer.offset);
        bool is_live = find.is_found && find.command.type == KV_COMMAND_SET;
        *is_there_out =
            is_flagged || is_live || find.doubt_offset != KV_NO_OFFSET;
        kv_keydir_find_release(&find);
    }
    (void)pthread_rwlock_unlock(&store->view_lock);
    return status;
}

kvstore_status kvstore_remove(kvstore *store, const void *key, size_t key_size)
{
    kvstore_status status = kv_engine_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_command_plan plan = kv_command_plan_remove(key, key_size);
    char short_line[SHORT_LINE_SIZE];
    char *line = encode(&plan, short_line);
    if (line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    status = kv_handle_begin_write(store, false);
    if (status == KVSTORE_OK) {
        bool is_there = false;
        status = find_to_remove(store, key, key_size, &is_there);
        if (status == KVSTORE_OK && !is_there) {
            status = KVSTORE_NOT_FOUND;
        }
        if (status == KVSTORE_OK) {
            status = write_record(store, &plan, line);
        }
        if (status == KVSTORE_OK) {
            compact_if_due(store);
        }
        kv_handle_end_write(store);
    }
    if (line != short_line) {
        kv_io_free(line);
    }
    return status;
}

kvstore_status kvstore_sync(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    if (kv_fork_guard_is_child(&store->guard)) {
        return kv_fail(KVSTORE_INVALID,
                       "a store cannot be used in a child of fork");
    }
    (void)pthread_rwlock_rdlock(&store->view_lock);
    kvstore_status status =
        kv_handle_sync(store, store->keydir.index.header->applied);
    if (status == KVSTORE_OK) {
        status = kv_handle_pay_directory(store);
    }
    (void)pthread_rwlock_unlock(&store->view_lock);
    return status;
}
