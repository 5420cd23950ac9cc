/* SPDX-License-Identifier: MIT */

/* The calls that read: one key, or many. Many are read in groups: the keys of a
 * group wait for memory together. The pair is released between two groups, so
 * that a writer of this handle never waits for long. */

#include "store/read.h"

#include "index/ahead.h"
#include "index/table.h"
#include "log/log.h"
#include "os/bounds.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/system.h"
#include "record/text.h"
#include "store/doubt.h"
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

kvstore_status kv_store_check_value(const void *value, size_t value_size)
{
    if (value == NULL && value_size > 0) {
        return kv_fail(KVSTORE_INVALID, "the value is NULL");
    }
    return value_size > KV_VALUE_SIZE_MAX
               ? kv_fail(KVSTORE_TOO_LARGE,
                         "a value may have %u bytes, not %zu",
                         KVSTORE_VALUE_SIZE_MAX,
                         value_size)
               : KVSTORE_OK;
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

static inline kvstore_status deliver(const struct kv_text *value,
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
    if (destination->is_unwanted) {
        return KVSTORE_OK;
    }
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
    if (value->form == KV_TEXT_PLAIN && value->size > 0) {
        memcpy(destination->buffer, value->raw, value->size);
        return KVSTORE_OK;
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
    bool is_damaged =
        find->damage_offset != KV_NO_OFFSET &&
        (!find->is_found || find->damage_offset > find->pointer.offset);
    if (is_damaged && find->is_unknown) {
        return kv_fail_at(KVSTORE_UNSUPPORTED,
                          find->damage_offset,
                          "the key's record was written by a newer version");
    }
    if (is_damaged) {
        return kv_fail_at(KVSTORE_CORRUPT,
                          find->damage_offset,
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
    destination->expires_ms = find->record.expires_ms;
    return deliver(&find->record.value, find->pointer.offset, destination);
}

/* A record of a batch comes into its slot before all of the batch does: its
 * writer is about to store the others, or died then. */
static bool is_of_half_batch(const kvstore *store,
                             const struct kv_index_find *find)
{
    return find->is_found && find->record.batch > 1 &&
           find->pointer.offset >= kv_table_applied(&store->index.table);
}

kvstore_status kv_store_answer(kvstore *store,
                               struct kv_index_find *find,
                               struct kv_store_destination *destination,
                               uint64_t *doubt_out)
{
    *doubt_out = find->is_found && !find->doubts_damage ? KV_NO_OFFSET
                                                        : find->doubt_offset;
    if (*doubt_out == KV_NO_OFFSET && !destination->takes_half &&
        is_of_half_batch(store, find)) {
        *doubt_out = KV_HALF_BATCH | find->pointer.offset;
    }
    kvstore_status status = KVSTORE_OK;
    if (*doubt_out == KV_NO_OFFSET) {
        status = answer(store, find, destination);
    } else {
        destination->secret = store->index.table.secret.words[0];
    }
    kv_index_find_release(find);
    return status;
}

/* Within a read: the way for every key. */
static kvstore_status find_and_answer(kvstore *store,
                                      const void *key,
                                      size_t key_size,
                                      struct kv_store_destination *destination,
                                      uint64_t *doubt_out)
{
    struct kv_index_find find;
    int cancel = kv_cancel_hold();
    kvstore_status status =
        kv_index_find(&store->index, &store->log, key, key_size, &find);
    if (status == KVSTORE_OK) {
        status = kv_store_answer(store, &find, destination, doubt_out);
    }
    kv_cancel_release(cancel);
    return status;
}

/* Looks a key up, with a read of its own. */
static inline kvstore_status look_up(kvstore *store,
                                     const void *key,
                                     size_t key_size,
                                     struct kv_store_destination *destination,
                                     uint64_t *doubt_out)
{
    struct kv_text value;
    *doubt_out = KV_NO_OFFSET;
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    switch (kv_index_peek(&store->index, &store->log, key, key_size, &value)) {
    case KV_INDEX_PEEK_ABSENT:
        status = KVSTORE_NOT_FOUND;
        break;
    case KV_INDEX_PEEK_VALUE: /* A mapped log is a shared pair's: it owes no
                                 sync. */
        status = deliver(&value, KV_NO_OFFSET, destination);
        break;
    case KV_INDEX_PEEK_UNSURE:
        status = find_and_answer(store, key, key_size, destination, doubt_out);
        break;
    }
    kv_store_end_read(store);
    return status;
}

/* Not within a read: ends a doubt, if that can be, and looks a key up again. */
static kvstore_status end_doubt(kvstore *store,
                                const void *key,
                                size_t key_size,
                                struct kv_store_destination *destination,
                                uint64_t *doubt)
{
    destination->takes_half = true;
    kvstore_status status =
        (*doubt & KV_HALF_BATCH) != 0
            ? kv_store_await_batch(store, *doubt & ~KV_HALF_BATCH)
            : kv_store_rebuild(store, destination->secret);
    *doubt = KV_NO_OFFSET;
    return status == KVSTORE_OK
               ? look_up(store, key, key_size, destination, doubt)
               : status;
}

/* The same until there is an answer: half a batch is taken if all of it does not
 * come, and the index is built anew once. */
KV_RARE static kvstore_status look_up_again(
    kvstore *store,
    const void *key,
    size_t key_size,
    struct kv_store_destination *destination,
    uint64_t doubt)
{
    bool is_half = (doubt & KV_HALF_BATCH) != 0;
    int cancel = kv_cancel_hold();
    kvstore_status status =
        end_doubt(store, key, key_size, destination, &doubt);
    if (is_half && doubt != KV_NO_OFFSET) {
        status = end_doubt(store, key, key_size, destination, &doubt);
    }
    kv_cancel_release(cancel);
    return doubt == KV_NO_OFFSET ? status
                                 : kv_fail_at(KVSTORE_CORRUPT,
                                              doubt,
                                              "a line of %s cannot be read",
                                              KV_LOG_NAME);
}

/* Not within a read: gets a key's value, whether or not the index is in
 * doubt. */
static inline kvstore_status get_value(kvstore *store,
                                       const void *key,
                                       size_t key_size,
                                       struct kv_store_destination *destination)
{
    uint64_t doubt_offset = KV_NO_OFFSET;
    kvstore_status status =
        look_up(store, key, key_size, destination, &doubt_offset);
    return doubt_offset == KV_NO_OFFSET
               ? status
               : look_up_again(store, key, key_size, destination, doubt_offset);
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
    kv_store_tell_warnings(store);
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
    kv_store_tell_warnings(store);
    if (status == KVSTORE_OK || status == KVSTORE_TOO_LARGE) {
        *value_size_out = destination.value_size;
    }
    return status;
}

kvstore_status kvstore_exists(const kvstore *store,
                              const void *key,
                              size_t key_size)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_expiry expiry = {.has_asked = false};
    struct kv_store_destination destination = {.is_unwanted = true,
                                               .expiry = &expiry};
    status = get_value(kv_store_own(store), key, key_size, &destination);
    kv_store_tell_warnings(store);
    return status;
}

void kvstore_free(void *value)
{
    kv_io_free(value);
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
        items[i].expires_ms = KVSTORE_EXPIRES_NEVER;
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
        item->expires_ms = destination->expires_ms;
    }
}

/* What all keys of a call have in common. */
struct many {
    struct kv_expiry expiry;
    bool takes_half; /* The rest of a batch has been waited for. */
};

/* Within a read: looks up one key, whose find has begun if it is a key. False
 * if the index is in doubt: then the answer does not count. */
static bool read_item(kvstore *store,
                      const struct kv_index_start *start,
                      struct many *many,
                      kvstore_item *item)
{
    struct kv_store_destination destination = {.is_allocated = true,
                                               .takes_half = many->takes_half,
                                               .expiry = &many->expiry};
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
static void get_item(kvstore *store, struct many *many, kvstore_item *item)
{
    struct kv_store_destination destination = {.is_allocated = true,
                                               .takes_half = many->takes_half,
                                               .expiry = &many->expiry};
    kvstore_status status =
        get_value(store, item->key, item->key_size, &destination);
    many->takes_half = destination.takes_half;
    take_answer(item, status, &destination);
}

static kvstore_status get_group(kvstore *store,
                                kvstore_item *items,
                                size_t count,
                                struct many *many)
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
        if (!read_item(store, &starts[i], many, &items[i])) {
            doubted[doubted_count++] = &items[i];
        }
    }
    kv_store_end_read(store);
    for (size_t i = 0; i < doubted_count; i++) {
        get_item(store, many, doubted[i]);
    }
    return KVSTORE_OK;
}

static kvstore_status get_groups(kvstore *store,
                                 kvstore_item *items,
                                 size_t count)
{
    struct many many = {.takes_half = false};
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; i < count && status == KVSTORE_OK; i += GROUP_SIZE) {
        size_t left = count - i;
        status = get_group(
            store, &items[i], left < GROUP_SIZE ? left : GROUP_SIZE, &many);
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
        int cancel = kv_cancel_hold();
        status = get_groups(kv_store_own(store), items, count);
        kv_cancel_release(cancel);
        kv_store_tell_warnings(store);
    }
    if (status != KVSTORE_OK) {
        for (size_t i = 0; i < count; i++) {
            kv_io_free(items[i].value);
        }
        clear_items(items, count, status);
    }
    return status;
}
