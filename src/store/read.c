/* SPDX-License-Identifier: MIT */

/* The calls that read: one key, or many. Many are read in groups: the keys of a
 * group wait for memory together. The pair is released between two groups, so
 * that a writer of this handle never waits for long. */

#include "store/read.h"

#include "index/ahead.h"
#include "index/table.h"
#include "log/log.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "record/text.h"
#include "store/handle.h"
#include "store/store.h"
#include "store/sync.h"

#include <string.h>

kvstore_status kv_store_check_key(const kvstore *store,
                                  const void *key,
                                  size_t key_size)
{
    if (store == NULL || key == NULL) {
        return kv_fail(KVSTORE_INVALID, "a handle or a key is NULL");
    }
    if (key_size == 0 || key_size > KV_KEY_SIZE_MAX) {
        return kv_fail(KVSTORE_INVALID_KEY,
                       "a key must have 1 to %u bytes, not %zu",
                       KVSTORE_KEY_SIZE_MAX,
                       key_size);
    }
    return KVSTORE_OK;
}

/* The value's bytes have changed since its line was decoded. */
static kvstore_status give_back(struct kv_store_destination *destination,
                                uint64_t offset)
{
    if (destination->is_allocated) {
        kv_io_free(destination->buffer);
        destination->buffer = NULL;
    }
    destination->value_size = 0;
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "%s was changed under a running program",
                      KV_LOG_NAME);
}

static kvstore_status deliver(const struct kv_text *value,
                              uint64_t offset,
                              struct kv_store_destination *destination)
{
    if (value->size > KV_VALUE_SIZE_MAX) {
        return kv_fail(KVSTORE_TOO_LARGE,
                       "the value has %zu bytes, more than %u",
                       value->size,
                       KVSTORE_VALUE_SIZE_MAX);
    }
    destination->value_size = value->size;
    if (destination->is_allocated) {
        destination->buffer = kv_io_allocate(value->size + 1);
        if (destination->buffer == NULL) {
            return KVSTORE_NO_MEMORY;
        }
        ((char *)destination->buffer)[value->size] = '\0';
    } else if (value->size > destination->capacity) {
        return kv_fail(KVSTORE_TOO_LARGE,
                       "the value has %zu bytes, the buffer %zu",
                       value->size,
                       destination->capacity);
    }
    return value->size == 0 || kv_text_decode(value, destination->buffer)
               ? KVSTORE_OK
               : give_back(destination, offset);
}

/* Answers with what was found of a key. */
static kvstore_status answer(kvstore *store,
                             const struct kv_index_find *find,
                             struct kv_store_destination *destination)
{
    bool is_flagged =
        find->flagged_offset != KV_NO_OFFSET &&
        (!find->is_found || find->flagged_offset > find->pointer.offset);
    if (is_flagged && find->is_unknown) {
        return kv_fail_at(KVSTORE_UNSUPPORTED,
                          find->flagged_offset,
                          "the key's record was written by a newer version");
    }
    if (is_flagged) {
        return kv_fail_at(KVSTORE_CORRUPT,
                          find->flagged_offset,
                          "the key's newest line in %s is damaged",
                          KV_LOG_NAME);
    }
    if (!find->is_found) {
        return KVSTORE_NOT_FOUND;
    }
    kvstore_status status = kv_store_ensure_synced(
        store, find->pointer.offset + find->pointer.length);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (!kv_expiry_is_live(destination->expiry, &find->record)) {
        return KVSTORE_NOT_FOUND;
    }
    return deliver(&find->record.value, find->pointer.offset, destination);
}

kvstore_status kv_store_answer(kvstore *store,
                               struct kv_index_find *find,
                               struct kv_store_destination *destination,
                               uint64_t *doubt_out)
{
    *doubt_out = find->is_found && !find->doubts_flag ? KV_NO_OFFSET
                                                      : find->doubt_offset;
    kvstore_status status = *doubt_out == KV_NO_OFFSET
                                ? answer(store, find, destination)
                                : KVSTORE_OK;
    kv_index_find_release(find);
    return status;
}

/* Looks a key up, with a read of its own. */
static kvstore_status look_up(kvstore *store,
                              const void *key,
                              size_t key_size,
                              struct kv_store_destination *destination,
                              uint64_t *doubt_out)
{
    struct kv_index_find find;
    *doubt_out = KV_NO_OFFSET;
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_index_find(&store->index, &store->log, key, key_size, &find);
    if (status == KVSTORE_OK) {
        status = kv_store_answer(store, &find, destination, doubt_out);
    }
    kv_store_end_read(store);
    return status;
}

/* Not within a read: builds the index anew and looks a key up again. */
static kvstore_status look_up_again(kvstore *store,
                                    const void *key,
                                    size_t key_size,
                                    struct kv_store_destination *destination)
{
    uint64_t doubt_offset = KV_NO_OFFSET;
    kvstore_status status = kv_store_rebuild(store);
    if (status == KVSTORE_OK) {
        status = look_up(store, key, key_size, destination, &doubt_offset);
    }
    return doubt_offset == KV_NO_OFFSET
               ? status
               : kv_fail_at(KVSTORE_CORRUPT,
                            doubt_offset,
                            "a line of %s cannot be read",
                            KV_LOG_NAME);
}

/* Not within a read: gets a key's value, whether or not the index is in
 * doubt. */
static kvstore_status get_value(kvstore *store,
                                const void *key,
                                size_t key_size,
                                struct kv_store_destination *destination)
{
    uint64_t doubt_offset = KV_NO_OFFSET;
    kvstore_status status =
        look_up(store, key, key_size, destination, &doubt_offset);
    return doubt_offset == KV_NO_OFFSET
               ? status
               : look_up_again(store, key, key_size, destination);
}

kvstore_status kvstore_get(const kvstore *store,
                           const void *key,
                           size_t key_size,
                           void **value_out,
                           size_t *value_size_out)
{
    if (value_out == NULL || value_size_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the value");
    }
    *value_out = NULL;
    *value_size_out = 0;
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_expiry expiry = {.has_asked = false};
    struct kv_store_destination destination = {.is_allocated = true,
                                               .expiry = &expiry};
    status = get_value(kv_store_own(store), key, key_size, &destination);
    if (status == KVSTORE_OK) {
        *value_out = destination.buffer;
        *value_size_out = destination.value_size;
    }
    return status;
}

kvstore_status kvstore_get_into(const kvstore *store,
                                const void *key,
                                size_t key_size,
                                void *buffer,
                                size_t capacity,
                                size_t *value_size_out)
{
    if (value_size_out == NULL || (buffer == NULL && capacity > 0)) {
        return kv_fail(KVSTORE_INVALID, "no place for the value");
    }
    *value_size_out = 0;
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_expiry expiry = {.has_asked = false};
    struct kv_store_destination destination = {
        .buffer = buffer, .capacity = capacity, .expiry = &expiry};
    status = get_value(kv_store_own(store), key, key_size, &destination);
    if (status == KVSTORE_OK || status == KVSTORE_TOO_LARGE) {
        *value_size_out = destination.value_size;
    }
    return status;
}

void kvstore_free(void *value)
{
    kv_io_free(value);
}

kvstore_status kvstore_get_stats(const kvstore *store, kvstore_stats *stats_out)
{
    if (stats_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the counters");
    }
    memset(stats_out, 0, sizeof *stats_out);
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = kv_store_begin_read(kv_store_own(store));
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_table_totals totals;
    status = kv_store_totals(kv_store_own(store), &totals);
    if (status != KVSTORE_OK) {
        kv_store_end_read(kv_store_own(store));
        return status;
    }
    const struct kv_table_counts *counts = &totals.counts;
    *stats_out = (kvstore_stats){.keys = counts->keys,
                                 .live_bytes = counts->live_bytes,
                                 .stale_bytes = counts->stale_bytes,
                                 .log_bytes = totals.applied,
                                 .index_bytes = store->index.memory.size,
                                 .compactions = totals.compactions,
                                 .damaged_records = counts->damaged_records,
                                 .blank_bytes = counts->blank_bytes,
                                 .damaged_bytes = counts->damaged_bytes,
                                 .damaged_offset = counts->damaged_offset,
                                 .tombstone_bytes = counts->tombstone_bytes,
                                 .unknown_records = counts->unknown_records};
    kv_store_end_read(kv_store_own(store));
    return KVSTORE_OK;
}

#define GROUP_SIZE KV_INDEX_START_MAX

/* What an item is before it is looked up, and after the call has failed. */
static void clear_items(kvstore_item *items,
                        size_t count,
                        kvstore_status status)
{
    for (size_t i = 0; i < count; i++) {
        items[i].value = NULL;
        items[i].value_size = 0;
        items[i].status = status;
    }
}

static void take_answer(kvstore_item *item,
                        kvstore_status status,
                        const struct kv_store_destination *destination)
{
    item->status = status;
    if (status == KVSTORE_OK) {
        item->value = destination->buffer;
        item->value_size = destination->value_size;
    }
}

/* Within a read: looks up one key, whose find has begun if it is a key. False
 * if the index is in doubt: then the answer does not count. */
static bool read_item(kvstore *store,
                      const struct kv_index_start *start,
                      struct kv_expiry *expiry,
                      kvstore_item *item)
{
    struct kv_store_destination destination = {.is_allocated = true,
                                               .expiry = expiry};
    struct kv_index_find find;
    uint64_t doubt_offset = KV_NO_OFFSET;
    kvstore_status status =
        kv_store_check_key(store, item->key, item->key_size);
    if (status == KVSTORE_OK) {
        status = kv_index_go_on(&store->index, &store->log, start, &find);
        if (status == KVSTORE_OK) {
            status = kv_store_answer(store, &find, &destination, &doubt_offset);
        }
    }
    take_answer(item, status, &destination);
    return doubt_offset == KV_NO_OFFSET;
}

/* Not within a read: gets one key as kvstore_get() does. */
static void get_item(kvstore *store,
                     struct kv_expiry *expiry,
                     kvstore_item *item)
{
    struct kv_store_destination destination = {.is_allocated = true,
                                               .expiry = expiry};
    kvstore_status status =
        get_value(store, item->key, item->key_size, &destination);
    take_answer(item, status, &destination);
}

static kvstore_status get_group(kvstore *store,
                                kvstore_item *items,
                                size_t count,
                                struct kv_expiry *expiry)
{
    struct kv_index_start starts[GROUP_SIZE];
    kvstore_item *doubted[GROUP_SIZE];
    size_t doubted_count = 0;
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_index_start_finds(&store->index, &store->log, items, count, starts);
    for (size_t i = 0; i < count; i++) {
        if (!read_item(store, &starts[i], expiry, &items[i])) {
            doubted[doubted_count++] = &items[i];
        }
    }
    kv_store_end_read(store);
    for (size_t i = 0; i < doubted_count; i++) {
        get_item(store, expiry, doubted[i]);
    }
    return KVSTORE_OK;
}

static kvstore_status get_groups(kvstore *store,
                                 kvstore_item *items,
                                 size_t count)
{
    struct kv_expiry expiry = {.has_asked = false};
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; i < count && status == KVSTORE_OK; i += GROUP_SIZE) {
        size_t left = count - i;
        status = get_group(
            store, &items[i], left < GROUP_SIZE ? left : GROUP_SIZE, &expiry);
    }
    return status;
}

kvstore_status kvstore_get_many(const kvstore *store,
                                kvstore_item *items,
                                size_t count)
{
    if (items == NULL && count > 0) {
        return kv_fail(KVSTORE_INVALID, "no place for the values");
    }
    clear_items(items, count, KVSTORE_INVALID);
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = kv_store_check_process(store);
    if (status == KVSTORE_OK) {
        status = get_groups(kv_store_own(store), items, count);
    }
    if (status != KVSTORE_OK) {
        for (size_t i = 0; i < count; i++) {
            kv_io_free(items[i].value);
        }
        clear_items(items, count, status);
    }
    return status;
}
