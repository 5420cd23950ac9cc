/* SPDX-License-Identifier: MIT */

/* Changes the index: applies lines in log order, and counts bytes.
 *
 * Invariants:
 * 1. counts.live + stale + blank + damaged bytes = header->applied.
 * 2. A line is applied whole or not at all: whatever can fail comes before the
 *    first change. */

#include "index/apply.h"

#include "index/grow.h"
#include "index/table.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

bool kv_index_is_crowded(const struct kv_index *index)
{
    return kv_table_has_room(&index->table, index->totals.slots_used * 2);
}

static bool is_reserved(const struct kv_index_reserve *reserve, uint64_t slot)
{
    unsigned i = 0;
    while (i < reserve->count && reserve->slots[i] != slot) {
        i++;
    }
    return i < reserve->count;
}

/* Skips the empty slots that are reserved for others, and reserves one. */
static bool reserve_place(const struct kv_index *index,
                          struct kv_index_reserve *reserve,
                          struct kv_table_probe *place)
{
    while (place->has_place && is_reserved(reserve, place->slot)) {
        kv_table_probe_skip(&index->table, place);
    }
    uint64_t used = index->totals.slots_used + reserve->count;
    if (!place->has_place || !kv_table_has_room(&index->table, used)) {
        return false;
    }
    assert(reserve->count < KV_INDEX_RESERVE_MAX);
    reserve->slots[reserve->count++] = place->slot;
    return true;
}

/* Walks to a key's slot. If the key has none, the walk ends on an empty one in
 * an index that may take one more, or the index is in use and lacks room for
 * it. */
static kvstore_status walk_to_place(struct kv_index *index,
                                    const struct kv_log *log,
                                    const struct kv_index_key *key,
                                    bool is_flagged,
                                    struct kv_index_reserve *reserve,
                                    struct kv_index_find *find)
{
    reserve->lacks_room = false;
    kv_index_find_init(find);
    for (;;) {
        kvstore_status status =
            kv_index_walk(&index->table, log, key, is_flagged, find);
        if (status != KVSTORE_OK || find->is_found ||
            reserve_place(index, reserve, &find->place)) {
            return status;
        }
        if (index->is_in_use) {
            reserve->lacks_room = true;
            return KVSTORE_OK;
        }
        assert(reserve->count == 0);
        status = kv_index_grow(index, log);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
}

kvstore_status kv_index_prepare(struct kv_index *index,
                                const struct kv_log *log,
                                const void *key,
                                size_t key_size,
                                struct kv_index_reserve *reserve,
                                struct kv_index_find *older_out)
{
    struct kv_index_key plain =
        kv_index_plain_key(&index->table, key, key_size);
    kvstore_status status =
        walk_to_place(index, log, &plain, false, reserve, older_out);
    if (status != KVSTORE_OK || reserve->lacks_room) {
        kv_index_find_release(older_out);
    }
    return status;
}

void kv_index_find_after(const struct kv_index_find *earlier,
                         enum kv_record_type type,
                         struct kv_log_pointer pointer,
                         struct kv_index_find *older_out)
{
    kv_index_find_init(older_out);
    older_out->is_found = true;
    older_out->pointer = pointer;
    older_out->record.type = type;
    older_out->place = earlier->place;
}

/* --- Applying --- */

/* Adds a line to the counts, apart from its key's older record. */
static void count_item(struct kv_table_counts *counts,
                       const struct kv_fold_item *item)
{
    uint64_t length = item->pointer.length;
    switch (item->type) {
    case KV_RECORD_BLANK:
        counts->blank_bytes += length;
        break;
    case KV_RECORD_DAMAGED:
        counts->damaged_bytes += length;
        counts->damaged_records++;
        if (counts->damaged_offset == UINT64_MAX) {
            counts->damaged_offset = item->pointer.offset;
        }
        break;
    case KV_RECORD_UNKNOWN:
        counts->unknown_records++;
        if (counts->unknown_offset == UINT64_MAX) {
            counts->unknown_offset = item->pointer.offset;
        }
        counts->live_bytes += length;
        break;
    case KV_RECORD_SET:
        counts->live_bytes += length;
        counts->keys += kv_index_is_reachable(item) ? 1 : 0;
        break;
    case KV_RECORD_REMOVE:
        if (kv_index_is_reachable(item)) {
            counts->stale_bytes += length;
            counts->tombstone_bytes += length;
        } else {
            counts->live_bytes += length;
        }
        break;
    }
}

/* Counts the older record of a key as stale. Returns false if the counts cannot
 * have included it: the index has lied. */
static bool count_superseded(struct kv_table_counts *counts,
                             const struct kv_index_find *older)
{
    uint64_t length = older->pointer.length;
    if (older->record.type == KV_RECORD_SET) {
        if (counts->keys == 0 || counts->live_bytes < length) {
            return false;
        }
        counts->keys--;
        counts->live_bytes -= length;
        counts->stale_bytes += length;
        return true;
    }
    if (counts->tombstone_bytes < length) {
        return false;
    }
    counts->tombstone_bytes -= length;
    return true;
}

/* Counts a line in the totals, and publishes them if readers may be at the
 * index. */
static void finish_item(struct kv_index *index, const struct kv_fold_item *item)
{
    struct kv_table_totals *totals = &index->totals;
    count_item(&totals->counts, item);
    totals->applied = item->pointer.offset + item->pointer.length;
    totals->follows = kv_fold_follows(item);
    if (item->bytes != NULL) {
        totals->last = item->pointer;
        totals->last_hash = XXH3_64bits(item->bytes, item->size);
    }
    assert(totals->is_in_doubt != 0 ||
           totals->counts.live_bytes + totals->counts.stale_bytes +
                   totals->counts.blank_bytes + totals->counts.damaged_bytes ==
               totals->applied);
    atomic_store_explicit(
        &index->table.header->end, totals->applied, memory_order_release);
    if (index->is_in_use) {
        kv_table_store_totals(&index->table, totals);
        kv_io_step("totals");
    }
}

/* Extends what readers may read, before a slot leads there. */
static void announce(struct kv_index *index, const struct kv_fold_item *item)
{
    struct kv_table_header *header = index->table.header;
    atomic_store_explicit(&header->end,
                          item->pointer.offset + item->pointer.length,
                          memory_order_release);
    if (kv_index_is_flagged(item)) {
        atomic_store_explicit(&header->has_flags, 1, memory_order_release);
    }
    kv_io_step("end");
}

/* Points the key's slot at the item. If it points there already, or further on,
 * a writer has died between slot and totals: the older record, which the totals
 * would have to lose, can no longer be found. */
static void take_place(struct kv_index *index,
                       const struct kv_index_find *older,
                       const struct kv_fold_item *item)
{
    struct kv_table_totals *totals = &index->totals;
    bool is_flag = kv_index_is_flagged(item);
    bool is_done =
        older->is_found && older->pointer.offset >= item->pointer.offset;
    if (older->doubt_offset != KV_NO_OFFSET || is_done) {
        totals->is_in_doubt = 1;
    }
    if (is_done) {
        return;
    }
    announce(index, item);
    kv_table_put(
        &index->table, totals, &older->place, item->pointer.offset, is_flag);
    kv_io_step("slot");
    if (older->is_found && !is_flag &&
        !count_superseded(&totals->counts, older)) {
        totals->is_in_doubt = 1;
    }
}

static kvstore_status put_item(struct kv_index *index,
                               const struct kv_log *log,
                               const struct kv_fold_item *item,
                               const struct kv_index_key *key,
                               bool *lacks_room_out)
{
    struct kv_index_find older;
    struct kv_index_reserve reserve;
    reserve.count = 0;
    bool is_flagged = kv_index_is_flagged(item);
    kvstore_status status =
        walk_to_place(index, log, key, is_flagged, &reserve, &older);
    *lacks_room_out = reserve.lacks_room;
    if (status == KVSTORE_OK && !reserve.lacks_room) {
        take_place(index, &older, item);
    }
    kv_index_find_release(&older);
    return status;
}

void kv_index_commit(struct kv_index *index,
                     const struct kv_index_find *older,
                     const struct kv_fold_item *item)
{
    assert(item->pointer.offset == index->totals.applied);
    assert(kv_index_is_indexed(item) && !kv_index_is_flagged(item));
    take_place(index, older, item);
    finish_item(index, item);
}

kvstore_status kv_index_apply_key(struct kv_index *index,
                                  const struct kv_log *log,
                                  const struct kv_fold_item *item,
                                  const struct kv_index_key *key,
                                  bool *lacks_room_out)
{
    assert(item->pointer.offset == index->totals.applied);
    *lacks_room_out = false;
    if (item->pointer.offset + item->pointer.length > KV_OFFSET_MAX) {
        return kv_fail_at(KVSTORE_TOO_LARGE,
                          item->pointer.offset,
                          "%s is longer than 16 TiB",
                          KV_LOG_NAME);
    }
    if (kv_index_is_indexed(item)) {
        kvstore_status status = put_item(index, log, item, key, lacks_room_out);
        if (status != KVSTORE_OK || *lacks_room_out) {
            return status;
        }
    }
    finish_item(index, item);
    return KVSTORE_OK;
}

kvstore_status kv_index_apply(struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_fold_item *item,
                              bool *lacks_room_out)
{
    struct kv_index_key key = {0};
    kvstore_status status = KVSTORE_OK;
    *lacks_room_out = false;
    if (kv_index_is_indexed(item)) {
        status = kv_index_get_key(&index->table, item->record, &key);
    }
    if (status == KVSTORE_OK) {
        status = kv_index_apply_key(index, log, item, &key, lacks_room_out);
    }
    kv_io_free(key.allocated);
    return status;
}

kvstore_status kv_index_apply_new_hash(struct kv_index *index,
                                       const struct kv_fold_item *item,
                                       uint64_t hash)
{
    announce(index, item);
    if (!kv_index_put_new(
            index, hash, item->pointer.offset, kv_index_is_flagged(item))) {
        return kv_fail(KVSTORE_TOO_LARGE, "the index has no room");
    }
    finish_item(index, item);
    return KVSTORE_OK;
}

kvstore_status kv_index_apply_new(struct kv_index *index,
                                  const struct kv_fold_item *item)
{
    if (!kv_index_is_indexed(item)) {
        finish_item(index, item);
        return KVSTORE_OK;
    }
    struct kv_index_key key;
    kvstore_status status = kv_index_get_key(&index->table, item->record, &key);
    if (status == KVSTORE_OK) {
        status = kv_index_apply_new_hash(index, item, key.hash);
        kv_io_free(key.allocated);
    }
    return status;
}

void kv_index_lengthen_damage(struct kv_index *index, uint64_t bytes)
{
    assert(!index->is_in_use);
    index->totals.counts.damaged_bytes += bytes;
    index->totals.applied += bytes;
    atomic_store_explicit(
        &index->table.header->end, index->totals.applied, memory_order_release);
}
