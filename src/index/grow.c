/* SPDX-License-Identifier: MIT */

/* Grows an index by one sequential copy of its slots, which reads no key and no
 * line.
 *
 * A larger table has its slots in nearly the same order, since the bucket where
 * a walk begins grows with the tag. So the copy needs only a window of the new
 * table in memory, and writes it piece by piece, in order. What belongs before
 * the window or behind it, as where a walk went from the last bucket to the
 * first, is put in at the end. */

#include "index/grow.h"

#include "index/table.h"
#include "os/error.h"
#include "os/system.h"

#include <assert.h>
#include <string.h>

/* Tests have smaller windows. */
#ifndef KV_GROW_WINDOW_BUCKETS
#define KV_GROW_WINDOW_BUCKETS 16384u
#endif

#define LEFT_OVER_MIN ((size_t)64)

struct copying {
    uint64_t bucket_count; /* Of the new table. */
    struct kv_index_file *file;
    uint64_t first; /* The bucket that the window begins with. */
    uint64_t window_buckets;
    struct kv_table_slot *window;
    struct kv_table_slot *left_over;
    size_t left_over_count;
    size_t left_over_capacity;
};

static kvstore_status leave_over(struct copying *copying,
                                 struct kv_table_slot slot)
{
    if (copying->left_over_count == copying->left_over_capacity) {
        size_t capacity = copying->left_over_capacity == 0
                              ? LEFT_OVER_MIN
                              : copying->left_over_capacity * 2;
        struct kv_table_slot *larger = kv_io_allocate(capacity * sizeof slot);
        if (larger == NULL) {
            return KVSTORE_NO_MEMORY;
        }
        if (copying->left_over_count > 0) {
            memcpy(larger,
                   copying->left_over,
                   copying->left_over_count * sizeof slot);
        }
        kv_io_free(copying->left_over);
        copying->left_over = larger;
        copying->left_over_capacity = capacity;
    }
    copying->left_over[copying->left_over_count++] = slot;
    return KVSTORE_OK;
}

static kvstore_status fail_crowded(void)
{
    return kv_fail(KVSTORE_CORRUPT, "the keys of the index crowd");
}

/* Puts a slot at the end of its walk in the window, if that is there. */
static kvstore_status copy_slot(struct copying *copying,
                                struct kv_table_slot slot)
{
    uint64_t home = kv_table_home(slot.tag, copying->bucket_count);
    uint64_t left = copying->bucket_count - copying->first;
    uint64_t end =
        (left < copying->window_buckets ? left : copying->window_buckets) *
        KV_TABLE_BUCKET_SLOTS;
    if (home < copying->first) {
        return leave_over(copying, slot);
    }
    uint64_t start = (home - copying->first) * KV_TABLE_BUCKET_SLOTS;
    uint64_t at = start;
    while (at < end && copying->window[at].tag != 0) {
        at++;
    }
    if (at - start > KV_TABLE_WALK_MAX) {
        return fail_crowded();
    }
    if (at >= end) {
        return leave_over(copying, slot);
    }
    copying->window[at] = slot;
    return KVSTORE_OK;
}

/* Writes the first buckets of the window, and has it begin after them. */
static kvstore_status move_window(struct copying *copying, uint64_t count)
{
    const size_t bucket = KV_TABLE_BUCKET_SIZE;
    size_t size = (size_t)count * bucket;
    size_t rest = (size_t)(copying->window_buckets - count) * bucket;
    assert(count <= copying->window_buckets);
    kvstore_status status = kv_index_file_fill(
        copying->file,
        KV_TABLE_HEADER_SIZE + copying->first * KV_TABLE_BUCKET_SIZE,
        copying->window,
        size);
    memmove(copying->window, (char *)copying->window + size, rest);
    memset((char *)copying->window + rest, 0, size);
    copying->first += count;
    return status;
}

/* Moves the window on to a bucket, once much of it is before that. */
static kvstore_status pass_to(struct copying *copying, uint64_t bucket)
{
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK &&
           bucket > copying->first + copying->window_buckets / 2) {
        uint64_t count = bucket - copying->first;
        status = move_window(
            copying,
            count < copying->window_buckets ? count : copying->window_buckets);
    }
    return status;
}

/* Copies a bucket. is_full_out: walks that began here or before may go on. */
static kvstore_status copy_bucket(const struct kv_table *table,
                                  uint64_t bucket,
                                  struct copying *copying,
                                  bool *is_full_out)
{
    kvstore_status status = KVSTORE_OK;
    *is_full_out = true;
    uint64_t slot = bucket * KV_TABLE_BUCKET_SLOTS;
    for (unsigned i = 0; i < KV_TABLE_BUCKET_SLOTS && status == KVSTORE_OK;
         i++) {
        struct kv_table_slot old = kv_table_load(table, slot + i);
        if (old.tag == 0) {
            *is_full_out = false;
        } else {
            status = copy_slot(copying, old);
        }
    }
    return status;
}

static kvstore_status copy_slots(const struct kv_table *table,
                                 struct copying *copying)
{
    kvstore_status status = KVSTORE_OK;
    for (uint64_t bucket = 0;
         bucket < table->bucket_count && status == KVSTORE_OK;
         bucket++) {
        bool is_full = false;
        status = copy_bucket(table, bucket, copying, &is_full);
        if (status == KVSTORE_OK && !is_full) {
            /* No walk that goes on past this bucket began before it. */
            status = pass_to(copying,
                             (bucket + 1) * copying->bucket_count /
                                 table->bucket_count);
        }
    }
    while (status == KVSTORE_OK && copying->first < copying->bucket_count) {
        uint64_t left = copying->bucket_count - copying->first;
        status = move_window(
            copying,
            left < copying->window_buckets ? left : copying->window_buckets);
    }
    return status;
}

/* Fills a file with the slots of a table, and formats it. */
static kvstore_status fill(const struct kv_table *table,
                           struct copying *copying,
                           struct kv_table *copy_out)
{
    kvstore_status status = copy_slots(table, copying);
    if (status == KVSTORE_OK) {
        status = kv_index_file_format(
            copying->file, copying->bucket_count, &table->secret, copy_out);
    }
    for (size_t i = 0; i < copying->left_over_count && status == KVSTORE_OK;
         i++) {
        if (!kv_table_insert(copy_out, copying->left_over[i])) {
            status = fail_crowded();
        }
    }
    return status;
}

static kvstore_status fill_by_window(const struct kv_table *table,
                                     uint64_t bucket_count,
                                     struct kv_index *copy)
{
    struct copying copying = {.bucket_count = bucket_count,
                              .file = &copy->memory,
                              .window_buckets = KV_GROW_WINDOW_BUCKETS};
    if (copying.window_buckets > bucket_count) {
        copying.window_buckets = bucket_count;
    }
    size_t size = (size_t)copying.window_buckets * KV_TABLE_BUCKET_SIZE;
    copying.window = kv_io_allocate(size);
    if (copying.window == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memset(copying.window, 0, size);
    kvstore_status status = fill(table, &copying, &copy->table);
    kv_io_free(copying.window);
    kv_io_free(copying.left_over);
    return status;
}

/* Copies all of an index to one with so many buckets. */
static kvstore_status copy_index(const struct kv_index *index,
                                 uint64_t bucket_count,
                                 const struct kv_log *log,
                                 struct kv_index *copy_out)
{
    *copy_out = KV_INDEX_NONE;
    struct kv_index copy = {.directory = index->directory,
                            .totals = index->totals,
                            .is_in_doubt = index->is_in_doubt};
    kvstore_status status = kv_index_file_create(
        index->directory, &log->file, bucket_count, &copy.memory);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = fill_by_window(&index->table, bucket_count, &copy);
    if (status != KVSTORE_OK) {
        kv_index_release(&copy);
        return status;
    }
    kv_table_inherit(&index->table, &copy.table);
    *copy_out = copy;
    return KVSTORE_OK;
}

kvstore_status kv_index_create_larger(const struct kv_index *index,
                                      uint64_t more_keys,
                                      const struct kv_log *log,
                                      struct kv_index *larger_out)
{
    *larger_out = KV_INDEX_NONE;
    uint64_t bucket_count = index->table.bucket_count;
    uint64_t wanted = index->totals.slots_used + more_keys;
    uint64_t least = wanted / 3 + 1;
    uint64_t larger = bucket_count + bucket_count / 2;
    larger = larger > KV_TABLE_BUCKETS_MAX ? KV_TABLE_BUCKETS_MAX : larger;
    larger = larger < least ? least : larger;
    if (larger > KV_TABLE_BUCKETS_MAX || larger == bucket_count) {
        return kv_fail(KVSTORE_TOO_LARGE, "the index is at its limit");
    }
    return copy_index(index, larger, log, larger_out);
}

kvstore_status kv_index_grow(struct kv_index *index, const struct kv_log *log)
{
    assert(!index->is_in_use);
    struct kv_index larger;
    kvstore_status status = kv_index_create_larger(index, 1, log, &larger);
    if (status == KVSTORE_OK) {
        kv_index_release(index);
        *index = larger;
    }
    return status;
}

void kv_index_shrink(struct kv_index *index, const struct kv_log *log)
{
    assert(!index->is_in_use);
    uint64_t bucket_count = kv_table_buckets_for(index->totals.slots_used);
    if (bucket_count + bucket_count / 2 >= index->table.bucket_count) {
        return;
    }
    struct kv_index smaller;
    kv_error_hold();
    if (copy_index(index, bucket_count, log, &smaller) == KVSTORE_OK) {
        kv_index_release(index);
        *index = smaller;
    }
    kv_error_release();
}
