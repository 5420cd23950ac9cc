/* SPDX-License-Identifier: MIT */

/* Grows an index: slots move by the hash bits that they hold, or keys are
 * hashed again. */

#include "index/grow.h"

#include "index/table.h"
#include "log/line.h"
#include "os/error.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/record.h"

#include <assert.h>

#define HASHED_AGAIN_MAX 65536u

/* How many levels an index goes up at once, where its slots do not fit the next
 * one. Only keys that were made to share their hash need more. */
#define LEVELS_MAX 2u

bool kv_index_put_new(struct kv_index *index,
                      uint64_t hash,
                      uint64_t offset,
                      bool is_flagged)
{
    struct kv_table *table = &index->table;
    struct kv_table_probe probe = kv_table_probe_start(table, hash);
    struct kv_table_entry other;
    while (kv_table_probe_next(table, &probe, &other)) {
    }
    if (probe.has_place) {
        kv_table_put(table, &index->totals, &probe, offset, is_flagged);
    }
    return probe.has_place;
}

/* Reads the line that a slot leads to and hashes its key into a new index. */
static kvstore_status hash_again(const struct kv_log *log,
                                 const struct kv_table_entry *entry,
                                 uint64_t end,
                                 struct kv_index *larger,
                                 bool *fits_out)
{
    struct kv_log_line line;
    struct kv_record record = {0};
    struct kv_index_key key = {0};
    *fits_out = true;
    kvstore_status status =
        kv_index_read_entry(log, entry, end, &line, &record);
    if (status == KVSTORE_OK && record.has_key) {
        status = kv_index_get_key(&larger->table, &record, &key);
    } else if (status == KVSTORE_OK) {
        /* The line has rotted since it was indexed, and its key with it. */
        larger->totals.is_in_doubt = 1;
    }
    if (key.bytes != NULL) {
        *fits_out = kv_index_put_new(
            larger, key.hash, entry->offset, entry->is_flagged);
    }
    kv_io_free(key.allocated);
    kv_record_release(&record);
    kv_log_line_release(&line);
    return status;
}

static kvstore_status fill_by_keys(const struct kv_index *index,
                                   const struct kv_log *log,
                                   struct kv_index *larger,
                                   bool *fits_out)
{
    larger->totals.slots_used = 0;
    larger->totals.slots_flagged = 0;
    *fits_out = true;
    kvstore_status status = KVSTORE_OK;
    uint64_t end = atomic_load(&index->table.header->end);
    struct kv_table_entry entry;
    for (uint64_t slot = 0; status == KVSTORE_OK && *fits_out &&
                            kv_table_next_entry(&index->table, &slot, &entry);
         slot++) {
        status = hash_again(log, &entry, end, larger, fits_out);
    }
    return status;
}

/* With few keys, hashing them again takes a moment; and all bits of their tags
 * are there for the many growths to come. */
static bool has_few_keys(const struct kv_index *index)
{
    return index->totals.slots_used <= HASHED_AGAIN_MAX;
}

static bool is_hashed_again(const struct kv_index *index, unsigned level)
{
    return level > index->table.level &&
           (has_few_keys(index) || !kv_table_can_spread(&index->table, level));
}

bool kv_index_is_worn(const struct kv_index *index)
{
    return !has_few_keys(index) &&
           !kv_table_can_spread(&index->table, index->table.level + 1);
}

/* Copies everything to an index of another level; fits_out: everything found
 * room there. */
static kvstore_status copy_to_level(const struct kv_index *index,
                                    const struct kv_log *log,
                                    unsigned level,
                                    struct kv_index *other_out,
                                    bool *fits_out)
{
    const struct kv_table *table = &index->table;
    kvstore_status status = kv_index_create_at(
        level, table->seed, index->directory, log, other_out);
    if (status != KVSTORE_OK) {
        return status;
    }
    other_out->totals = index->totals;
    if (is_hashed_again(index, level)) {
        status = fill_by_keys(index, log, other_out, fits_out);
    } else {
        *fits_out = kv_table_spread(table, &other_out->table);
    }
    if (status != KVSTORE_OK || !*fits_out) {
        kv_index_release(other_out);
        return status;
    }
    struct kv_table_header *header = other_out->table.header;
    atomic_store(&header->end, atomic_load(&table->header->end));
    atomic_store(&header->has_flags, atomic_load(&table->header->has_flags));
    atomic_store(&header->failed_at, atomic_load(&table->header->failed_at));
    atomic_store(&header->slow_until, atomic_load(&table->header->slow_until));
    return KVSTORE_OK;
}

kvstore_status kv_index_create_larger(const struct kv_index *index,
                                      const struct kv_log *log,
                                      struct kv_index *larger_out)
{
    bool fits = false;
    unsigned level = index->table.level;
    while (!fits) {
        level++;
        if (level > KV_TABLE_LEVEL_MAX ||
            level > index->table.level + LEVELS_MAX) {
            return kv_fail(KVSTORE_TOO_LARGE, "the index is at its limit");
        }
        kvstore_status status =
            copy_to_level(index, log, level, larger_out, &fits);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    return KVSTORE_OK;
}

kvstore_status kv_index_grow(struct kv_index *index, const struct kv_log *log)
{
    assert(!index->is_in_use);
    struct kv_index larger;
    kvstore_status status = kv_index_create_larger(index, log, &larger);
    if (status == KVSTORE_OK) {
        kv_index_release(index);
        *index = larger;
    }
    return status;
}

void kv_index_shrink(struct kv_index *index, const struct kv_log *log)
{
    assert(!index->is_in_use);
    unsigned level = kv_table_level_for(index->totals.slots_used);
    if (level >= index->table.level) {
        return;
    }
    bool fits = false;
    struct kv_index smaller;
    kv_error_hold();
    if (copy_to_level(index, log, level, &smaller, &fits) == KVSTORE_OK &&
        fits) {
        kv_index_release(index);
        *index = smaller;
    }
    kv_error_release();
}
