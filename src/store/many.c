/* SPDX-License-Identifier: MIT */

/* The call that reads many keys. It reads them in groups: those of a group wait
 * for memory together. The pair is let go of between two groups, so that a
 * writer of this handle never waits for long. */

#include "index/index.h"
#include "kvstore.h"
#include "os/error.h"
#include "store/engine.h"
#include "store/handle.h"

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

/* Within a read: looks one key up, whose find has begun if it is a key. False:
 * the index is in doubt, and the answer does not count. */
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
        kv_store_get(store, item->key, item->key_size, &destination);
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
