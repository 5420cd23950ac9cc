/* SPDX-License-Identifier: MIT */

/* The calls that change a store. A set is: encode one line, take the lock,
 * append, sync, apply to the index, release the lock. */

#include "kvstore.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "record/plan.h"
#include "record/record.h"
#include "store/commit.h"
#include "store/handle.h"
#include "store/read.h"
#include "store/sync.h"

/* Lines up to this size are encoded without an allocation. */
#define SHORT_LINE_SIZE 1024

/* --- The calls that write --- */

/* Lays out the planned line, before any lock, and has it written. */
static kvstore_status write_record(kvstore *store,
                                   const struct kv_record_plan *plan)
{
    char short_line[SHORT_LINE_SIZE];
    char *line = plan->line_size <= SHORT_LINE_SIZE
                     ? short_line
                     : kv_io_allocate(plan->line_size);
    if (line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kv_record_encode(plan, line);
    struct kv_store_write write;
    write.plan = plan;
    write.line = line;
    kvstore_status status = kv_store_commit(store, &write);
    if (line != short_line) {
        kv_io_free(line);
    }
    return status;
}

kvstore_status kvstore_set(kvstore *store,
                           const void *key,
                           size_t key_size,
                           const void *value,
                           size_t value_size)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
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
    kv_store_prefetch(store, key, key_size);
    struct kv_record_plan plan = kv_record_plan_set(
        key, key_size, value == NULL ? "" : value, value_size);
    return write_record(store, &plan);
}

kvstore_status kvstore_remove(kvstore *store, const void *key, size_t key_size)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_store_prefetch(store, key, key_size);
    struct kv_record_plan plan = kv_record_plan_remove(key, key_size);
    return write_record(store, &plan);
}

kvstore_status kvstore_sync(kvstore *store)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = kv_store_check_process(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_reader_lock_read(&store->reader_lock);
    /* Without a pair the handle has written nothing. */
    if (store->log.file.fd >= 0) {
        status = kv_store_sync(store, 0);
    }
    kv_reader_lock_end_read(&store->reader_lock);
    return status;
}
