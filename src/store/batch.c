/* SPDX-License-Identifier: MIT */

/* Keys and values are copied into blocks, which never move, so that changes can
 * point at them. The change of a key is found by an open-addressing table of
 * numbers. Everything that can fail comes before anything is changed. */

#include "store/batch.h"

#include "os/bounds.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/system.h"
#include "record/plan.h"
#include "store/read.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BATCH_BLOCK_SIZE ((size_t)64 << 10)
#define CHANGES_MIN ((size_t)16)

/* Bytes that the members which a plan does not know yet can add to a line. */
#define OTHER_MEMBERS_SIZE 64u

struct kv_batch_block {
    struct kv_batch_block *next;
    size_t size;
    size_t used;
    char bytes[];
};

/* --- Memory --- */

static void free_batch_blocks(struct kv_batch_block *piece)
{
    while (piece != NULL) {
        struct kv_batch_block *next = piece->next;
        kv_io_free(piece);
        piece = next;
    }
}

/* Sees that so many bytes can be copied. */
static kvstore_status reserve_bytes(kvstore_batch *batch, size_t size)
{
    struct kv_batch_block *first = batch->blocks;
    if (first != NULL && first->size - first->used >= size) {
        return KVSTORE_OK;
    }
    size_t block_size = size > BATCH_BLOCK_SIZE ? size : BATCH_BLOCK_SIZE;
    struct kv_batch_block *piece = kv_io_allocate(sizeof *piece + block_size);
    if (piece == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    piece->next = first;
    piece->size = block_size;
    piece->used = 0;
    batch->blocks = piece;
    return KVSTORE_OK;
}

/* Returns bytes that are reserved. */
static char *take_bytes(kvstore_batch *batch, size_t size)
{
    struct kv_batch_block *piece = batch->blocks;
    char *bytes = piece->bytes + piece->used;
    piece->used += size;
    return bytes;
}

/* Copies bytes for which there is room. */
static const void *copy_bytes(kvstore_batch *batch,
                              const void *bytes,
                              size_t size)
{
    char *copy = take_bytes(batch, size);
    if (bytes != NULL) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* Sees that there is room for one more item of an array. */
static kvstore_status reserve_item(void **items,
                                   size_t *capacity,
                                   size_t count,
                                   size_t item_size)
{
    if (count < *capacity) {
        return KVSTORE_OK;
    }
    size_t larger = *capacity == 0 ? CHANGES_MIN : 2 * *capacity;
    void *copy = kv_io_allocate(larger * item_size);
    if (copy == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    if (count > 0) {
        memcpy(copy, *items, count * item_size);
    }
    kv_io_free(*items);
    *items = copy;
    *capacity = larger;
    return KVSTORE_OK;
}

/* --- Finding the change of a key --- */

static uint64_t hash_key(const kvstore_batch *batch,
                         const void *key,
                         size_t key_size)
{
    assert(key != NULL);
    return XXH3_64bits_withSeed(key, key_size, batch->seed);
}

/* Returns the place of a key's number, or the empty one that it would get. */
static uint32_t *find_number(const kvstore_batch *batch,
                             const void *key,
                             size_t key_size)
{
    size_t mask = batch->place_count - 1;
    size_t at = (size_t)hash_key(batch, key, key_size) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t *place = &batch->places[at];
        const struct kv_change *change = &batch->changes[*place - 1];
        if (*place == 0 || (change->key_size == key_size &&
                            memcmp(change->key, key, key_size) == 0)) {
            return place;
        }
    }
}

/* Sees that at most half of the places are taken with one more key. */
static kvstore_status reserve_place(kvstore_batch *batch)
{
    if (batch->place_count >= 2 * (batch->count + 1)) {
        return KVSTORE_OK;
    }
    size_t count =
        batch->place_count == 0 ? 4 * CHANGES_MIN : 2 * batch->place_count;
    uint32_t *places = kv_io_allocate(count * sizeof *places);
    if (places == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memset(places, 0, count * sizeof *places);
    kv_io_free(batch->places);
    batch->places = places;
    batch->place_count = count;
    for (size_t i = 0; i < batch->count; i++) {
        const struct kv_change *change = &batch->changes[i];
        *find_number(batch, change->key, change->key_size) = (uint32_t)i + 1;
    }
    return KVSTORE_OK;
}

/* --- Changes --- */

static kvstore_status check_batch_key(const kvstore_batch *batch,
                                      const void *key,
                                      size_t key_size)
{
    if (batch == NULL || key == NULL) {
        return kv_fail(KVSTORE_INVALID, "a batch or a key is NULL");
    }
    return key_size == 0 || key_size > KV_KEY_SIZE_MAX
               ? kv_fail(KVSTORE_INVALID_KEY,
                         "a key may have 1 to %u bytes, not %zu",
                         KVSTORE_KEY_SIZE_MAX,
                         key_size)
               : KVSTORE_OK;
}

kvstore_status kv_batch_check_expiry(int64_t expires_ms)
{
    return expires_ms < KVSTORE_EXPIRES_KEEP || expires_ms > KVSTORE_EXPIRES_MAX
               ? kv_fail(KVSTORE_INVALID, "a time of expiry is out of bounds")
               : KVSTORE_OK;
}

kvstore_status kv_batch_check_condition(int condition,
                                        const void *value,
                                        size_t value_size)
{
    if (condition < KVSTORE_IF_ANY || condition > KVSTORE_IF_VALUE) {
        return kv_fail(KVSTORE_INVALID, "there is no such condition");
    }
    if (condition != KVSTORE_IF_VALUE && value_size > 0) {
        return kv_fail(KVSTORE_INVALID, "the condition has no value");
    }
    return kv_store_check_value(value, value_size);
}

struct kv_record_plan kv_batch_plan(const struct kv_change *change,
                                    int64_t expires_ms,
                                    uint32_t batch)
{
    struct kv_record_plan plan =
        change->type == KV_RECORD_SET
            ? kv_record_plan_set(change->key,
                                 change->key_size,
                                 change->value == NULL ? "" : change->value,
                                 change->value_size)
            : kv_record_plan_remove(change->key, change->key_size);
    if (expires_ms != 0 || batch != 0) {
        kv_record_plan_add(&plan, expires_ms, batch);
    }
    return plan;
}

/* At most so many bytes does the line of a change have. */
static uint64_t measure_change(const struct kv_change *change)
{
    return kv_batch_plan(change, 0, 0).line_size + OTHER_MEMBERS_SIZE;
}

/* Sees that one more key can be numbered. */
static kvstore_status reserve_key(kvstore_batch *batch)
{
    void *changes = batch->changes;
    kvstore_status status = reserve_item(
        &changes, &batch->capacity, batch->count, sizeof *batch->changes);
    batch->changes = changes;
    return status == KVSTORE_OK ? reserve_place(batch) : status;
}

/* Returns how much room a value gets in the place of another one: enough, and
 * more than that had, so that a key which is set again and again does not fill
 * the memory. */
static size_t room_for(const struct kv_change *old, size_t value_size)
{
    if (value_size <= old->value_room) {
        return old->value_room;
    }
    return value_size < 2 * old->value_room ? 2 * old->value_room : value_size;
}

/* Puts a new value in the place of the one that a key has. */
static kvstore_status replace_change(kvstore_batch *batch,
                                     const struct kv_change *change,
                                     struct kv_change *at)
{
    size_t room = room_for(at, change->value_size);
    char *place = (char *)at->value;
    if (room > at->value_room) {
        kvstore_status status = reserve_bytes(batch, room);
        if (status != KVSTORE_OK) {
            return status;
        }
        place = take_bytes(batch, room);
    }
    if (change->value_size > 0) {
        memcpy(place, change->value, change->value_size);
    }
    const void *key = at->key;
    *at = *change;
    at->key = key;
    at->value = place;
    at->value_room = room;
    return KVSTORE_OK;
}

static kvstore_status append_change(kvstore_batch *batch,
                                    const struct kv_change *change)
{
    kvstore_status status =
        reserve_bytes(batch, change->key_size + change->value_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    assert(batch->count < batch->capacity && batch->changes != NULL);
    struct kv_change *at = &batch->changes[batch->count++];
    *at = *change;
    at->key = copy_bytes(batch, change->key, change->key_size);
    at->value = copy_bytes(batch, change->value, change->value_size);
    at->value_room = change->value_size;
    return KVSTORE_OK;
}

/* Adds a change whose key and value are the caller's, in the place of an earlier
 * one of its key. */
static kvstore_status add_change(kvstore_batch *batch,
                                 const struct kv_change *change)
{
    kvstore_status status = reserve_key(batch);
    if (status != KVSTORE_OK) {
        return status;
    }
    uint32_t *place = find_number(batch, change->key, change->key_size);
    struct kv_change *at = *place == 0 ? NULL : &batch->changes[*place - 1];
    uint64_t size = batch->lines_size + measure_change(change) -
                    (at == NULL ? 0 : measure_change(at));
    if (size > KV_LINE_SIZE_MAX) {
        return kv_fail(KVSTORE_TOO_LARGE,
                       "the lines of a batch may have %u bytes together",
                       (unsigned)KV_LINE_SIZE_MAX);
    }
    status = at == NULL ? append_change(batch, change)
                        : replace_change(batch, change, at);
    if (status == KVSTORE_OK) {
        batch->lines_size = size;
        *place = at == NULL ? (uint32_t)batch->count : *place;
    }
    return status;
}

kvstore_status kvstore_batch_create(kvstore_batch **batch_out)
{
    if (batch_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the batch");
    }
    *batch_out = NULL;
    kvstore_batch *batch = kv_io_allocate(sizeof *batch);
    if (batch == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    *batch = (kvstore_batch){.count = 0};
    int cancel = kv_cancel_hold();
    kvstore_status status = kv_io_random(&batch->seed, sizeof batch->seed);
    kv_cancel_release(cancel);
    if (status != KVSTORE_OK) {
        kv_io_free(batch);
        return status;
    }
    *batch_out = batch;
    return KVSTORE_OK;
}

kvstore_status kvstore_batch_set(kvstore_batch *batch,
                                 const void *key,
                                 size_t key_size,
                                 const void *value,
                                 size_t value_size,
                                 int64_t expires_ms)
{
    kvstore_status status = check_batch_key(batch, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_store_check_value(value, value_size);
    }
    if (status == KVSTORE_OK) {
        status = kv_batch_check_expiry(expires_ms);
    }
    const struct kv_change change = {.type = KV_RECORD_SET,
                                     .key = key,
                                     .key_size = key_size,
                                     .value = value,
                                     .value_size = value_size,
                                     .expires_ms = expires_ms};
    return status == KVSTORE_OK ? add_change(batch, &change) : status;
}

kvstore_status kvstore_batch_remove(kvstore_batch *batch,
                                    const void *key,
                                    size_t key_size)
{
    kvstore_status status = check_batch_key(batch, key, key_size);
    const struct kv_change change = {
        .type = KV_RECORD_REMOVE, .key = key, .key_size = key_size};
    return status == KVSTORE_OK ? add_change(batch, &change) : status;
}

kvstore_status kvstore_batch_require(kvstore_batch *batch,
                                     const void *key,
                                     size_t key_size,
                                     int condition,
                                     const void *value,
                                     size_t value_size)
{
    kvstore_status status = check_batch_key(batch, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_batch_check_condition(condition, value, value_size);
    }
    if (status == KVSTORE_OK) {
        status = reserve_bytes(batch, key_size + value_size);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    void *conditions = batch->conditions;
    status = reserve_item(&conditions,
                          &batch->condition_capacity,
                          batch->condition_count,
                          sizeof *batch->conditions);
    batch->conditions = conditions;
    if (status == KVSTORE_OK) {
        batch->conditions[batch->condition_count++] =
            (struct kv_condition){.key = copy_bytes(batch, key, key_size),
                                  .key_size = key_size,
                                  .condition = condition,
                                  .value = copy_bytes(batch, value, value_size),
                                  .value_size = value_size};
    }
    return status;
}

size_t kvstore_batch_count(const kvstore_batch *batch)
{
    return batch == NULL ? 0 : batch->count;
}

/* One block stays, for the next changes. */
void kvstore_batch_clear(kvstore_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    if (batch->blocks != NULL) {
        free_batch_blocks(batch->blocks->next);
        batch->blocks->next = NULL;
        batch->blocks->used = 0;
    }
    if (batch->places != NULL) {
        memset(batch->places, 0, batch->place_count * sizeof *batch->places);
    }
    batch->count = 0;
    batch->lines_size = 0;
    batch->condition_count = 0;
}

void kvstore_batch_free(kvstore_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    free_batch_blocks(batch->blocks);
    kv_io_free(batch->changes);
    kv_io_free(batch->conditions);
    kv_io_free(batch->places);
    kv_io_free(batch);
}
