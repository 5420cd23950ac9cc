/* SPDX-License-Identifier: MIT */

/* The calls that change a store, and the order of their steps. A set is: encode
 * one line, take the lock, append, sync, apply to the index, compact if that is
 * due, release the lock. */

#include "bounds.h"
#include "command.h"
#include "compaction.h"
#include "engine.h"
#include "error.h"
#include "handle.h"
#include "keydir.h"
#include "kvstore.h"

#include <assert.h>
#include <string.h>

/* Lines up to this size are encoded without an allocation. */
#define SHORT_LINE_SIZE 1024

/* --- Compaction; within a write --- */

/* After a failure, the next is tried when as much again is stale. */
static kvstore_status compact(kvstore *store)
{
    kvstore_status status = kv_handle_compact(store);
    store->compaction_retry_bytes =
        status == KVSTORE_OK ? 0
                             : store->keydir.totals.counts.stale_bytes +
                                   atomic_load(&store->compaction_threshold);
    return status;
}

static void compact_if_due(kvstore *store)
{
    if (!store->compacts_when_due) {
        return;
    }
    const struct kv_index_totals *totals = &store->keydir.totals;
    bool is_due =
        totals->counts.stale_bytes >= store->compaction_retry_bytes &&
        kv_compaction_is_due(&totals->counts,
                             totals->applied,
                             atomic_load(&store->compaction_threshold),
                             store->compaction_percent);
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

/* Applies a line that was appended. */
static void publish(kvstore *store,
                    const struct kv_command_plan *plan,
                    const char *line,
                    const struct kv_keydir_find *older)
{
    struct kv_command command = {.type = plan->type,
                                 .has_key = true,
                                 .key =
                                     kv_text_plain(plan->key, plan->key_size)};
    struct kv_fold_item item = {
        .pointer = {.offset = store->keydir.totals.applied,
                    .length = plan->line_size},
        .bytes = line,
        .size = plan->line_size - 1,
        .type = plan->type,
        .command = &command};
    kv_handle_commit(store, older, &item);
}

/* Appends a line at the end of the log; durably, if the handle is. What cannot
 * be acknowledged is cut off again. If that fails, too, the line is torn, or
 * whole and as good as any that was written when its writer died. */
static kvstore_status append(kvstore *store, const char *line, size_t size)
{
    uint64_t offset = store->keydir.totals.applied;
    if (size > KV_OFFSET_MAX - offset) {
        return kv_fail(
            KVSTORE_TOO_LARGE, "%s is at its limit of 16 TiB", KV_LOG_NAME);
    }
    kvstore_status status = kv_io_write(&store->log.file, offset, line, size);
    if (status == KVSTORE_OK && store->is_durable) {
        status = kv_handle_sync(store, offset + size);
    }
    if (status != KVSTORE_OK) {
        kvstore_error reason = *kvstore_last_error();
        (void)kv_io_truncate(&store->log.file, offset);
        kv_fail_again(&reason);
    }
    return status;
}

/* Whatever else can fail comes before the line is written. */
static kvstore_status write_record(kvstore *store,
                                   const struct kv_command_plan *plan,
                                   const char *line)
{
    struct kv_keydir_find older;
    kvstore_status status =
        kv_handle_prepare(store, plan->key, plan->key_size, &older);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = append(store, line, plan->line_size);
    if (status == KVSTORE_OK) {
        publish(store, plan, line, &older);
    }
    kv_keydir_find_release(&older);
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
    kvstore_status status =
        kv_keydir_find(&store->keydir, &store->log, key, key_size, &find);
    if (status == KVSTORE_OK) {
        bool is_flagged =
            find.flagged_offset != KV_NO_OFFSET &&
            (!find.is_found || find.flagged_offset > find.pointer.offset);
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
    kvstore_status status = kv_handle_sync(store, 0);
    (void)pthread_rwlock_unlock(&store->view_lock);
    return status;
}
