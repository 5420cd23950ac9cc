/* SPDX-License-Identifier: MIT */

/* Changes the index: applies the lines of each key in log order, and counts
 * bytes. A record takes the place of its key's older one, of which only the slot
 * is asked: its kind and its length say what becomes stale. Only a record too
 * long for that is measured in the log.
 *
 * Invariants:
 * 1. Live, stale, blank and damaged bytes add up to totals.applied, unless the
 *    index is in doubt.
 * 2. In an index in use, slots change only between kv_index_begin_publishing()
 *    and kv_index_end_publishing(), in the order that index/header.c has. */

#include "index/apply.h"

#include "index/grow.h"
#include "index/table.h"
#include "log/line.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"

#include <assert.h>

/* --- Publishing --- */

static void store_end(struct kv_index *index, uint64_t end)
{
    atomic_store_explicit(&index->table.header->end, end, memory_order_release);
    kv_io_step("end");
}

void kv_index_begin_publishing(struct kv_index *index, uint64_t end)
{
    if (index->is_in_use) {
        kv_table_set_writing(&index->table, KV_TABLE_PUBLISHING);
        store_end(index, end);
    }
}

void kv_index_end_publishing(struct kv_index *index, bool is_at_end)
{
    if (!index->is_in_use) {
        return;
    }
    kv_table_store_totals(&index->table, &index->totals);
    kv_io_step("totals");
    if (atomic_load_explicit(&index->table.header->end, memory_order_relaxed) !=
        index->totals.applied) {
        store_end(index, index->totals.applied);
    }
    if (!index->is_in_doubt) {
        kv_table_set_writing(&index->table,
                             is_at_end ? KV_TABLE_AT_REST : KV_TABLE_APPENDING);
    }
}

/* --- Counting --- */

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
        if (kv_index_is_reachable(item)) {
            bool may_expire = item->record->expires_ms != 0;
            counts->keys++;
            counts->expiring_keys += may_expire ? 1 : 0;
            counts->expiring_bytes += may_expire ? length : 0;
        }
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
                             enum kv_table_kind kind,
                             uint64_t length)
{
    if (kind == KV_TABLE_REMOVE) {
        if (counts->tombstone_bytes < length) {
            return false;
        }
        counts->tombstone_bytes -= length;
        return true;
    }
    if (counts->keys == 0 || counts->live_bytes < length) {
        return false;
    }
    if (kind == KV_TABLE_EXPIRING_SET) {
        if (counts->expiring_keys == 0 || counts->expiring_bytes < length) {
            return false;
        }
        counts->expiring_keys--;
        counts->expiring_bytes -= length;
    }
    counts->keys--;
    counts->live_bytes -= length;
    counts->stale_bytes += length;
    return true;
}

/* Counts a line in the totals. The end of an index in use has been stored
 * already. */
static void count_line(struct kv_index *index, const struct kv_fold_item *item)
{
    struct kv_table_totals *totals = &index->totals;
    assert(item->pointer.offset == totals->applied);
    count_item(&totals->counts, item);
    totals->applied = item->pointer.offset + item->pointer.length;
    if (!index->is_in_use) {
        atomic_store_explicit(
            &index->table.header->end, totals->applied, memory_order_relaxed);
    }
    totals->follows = kv_fold_follows(item);
    if (item->bytes != NULL) {
        totals->last = item->pointer;
        totals->last_sum = kv_index_item_sum(item);
    }
}

/* --- Slots --- */

bool kv_index_has_room(const struct kv_index *index, uint64_t more_keys)
{
    uint64_t room = kv_table_room(&index->table);
    return index->totals.slots_used <= room &&
           more_keys <= room - index->totals.slots_used;
}

/* Sets length_out to that of the record that an entry leads to; 0: there is
 * none. */
static kvstore_status measure(const struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_table_entry *entry,
                              uint64_t *length_out)
{
    *length_out = entry->pointer.length;
    if (!kv_table_is_long(entry)) {
        return KVSTORE_OK;
    }
    uint64_t end =
        atomic_load_explicit(&index->table.header->end, memory_order_acquire);
    kvstore_status status =
        kv_log_measure_line(log, entry->pointer.offset, end, length_out);
    if (*length_out < KV_TABLE_LENGTH_LONG) {
        *length_out = 0; /* It is not that record. */
    }
    return status;
}

/* Takes the older record of a key out of the counts. */
static void replace_older(struct kv_index *index,
                          const struct kv_log *log,
                          const struct kv_index_target *target)
{
    const struct kv_table_entry *older = &target->older;
    uint64_t length = target->older_length;
    if (older->kind == KV_TABLE_DAMAGE) {
        return; /* Damage stays counted as such. */
    }
    if (length == 0) {
        kv_error_hold();
        (void)measure(index, log, older, &length);
        kv_error_release();
    }
    if (length == 0 ||
        !count_superseded(&index->totals.counts, older->kind, length)) {
        index->is_in_doubt = true;
    }
}

/* Before the first slot of damage: only then a get looks for one. */
static void announce_damage(struct kv_index *index)
{
    atomic_store_explicit(
        &index->table.header->has_damage, 1, memory_order_release);
    kv_io_step("has damage");
}

/* Stores an entry in the target: an empty slot, or that of an older record. Only
 * an index that lies leads further on already, or has no slot. */
static void point(struct kv_index *index,
                  const struct kv_log *log,
                  const struct kv_index_target *target,
                  const struct kv_table_entry *entry)
{
    struct kv_table_totals *totals = &index->totals;
    uint64_t offset = entry->pointer.offset;
    if (target->place.slot == KV_TABLE_NO_SLOT ||
        (target->has_older && target->older.pointer.offset >= offset)) {
        index->is_in_doubt = true;
        return;
    }
    if (target->has_older) {
        replace_older(index, log, target);
    } else {
        totals->slots_used++;
        totals->damage_slots += entry->kind == KV_TABLE_DAMAGE ? 1 : 0;
    }
    if (entry->kind == KV_TABLE_DAMAGE) {
        announce_damage(index);
    }
    kv_table_put(
        &index->table, target->hash, target->place, !target->has_older, entry);
}

static void look_up_target(const struct kv_index *index,
                           bool is_damage,
                           struct kv_index_target *target)
{
    target->has_older = kv_table_find(
        &index->table, target->hash, is_damage, &target->place, &target->older);
    target->older_length = 0;
}

/* Finds the slot of a key, or an empty one, in an index that may take one more
 * key. */
static kvstore_status find_place(struct kv_index *index,
                                 const struct kv_log *log,
                                 bool is_damage,
                                 struct kv_index_target *target)
{
    look_up_target(index, is_damage, target);
    if (target->has_older || kv_index_has_room(index, 1)) {
        return KVSTORE_OK;
    }
    if (index->is_in_use) {
        return kv_fail(KVSTORE_TOO_LARGE, "the index has no room");
    }
    kvstore_status status = kv_index_grow(index, log);
    if (status == KVSTORE_OK) {
        look_up_target(index, is_damage, target);
    }
    return status;
}

kvstore_status kv_index_put_slot(struct kv_index *index,
                                 const struct kv_log *log,
                                 struct kv_table_slot slot,
                                 bool *is_new_out)
{
    struct kv_table_entry entry = kv_table_entry_of(slot);
    struct kv_index_target target = {.hash = kv_table_hash_of(slot)};
    kvstore_status status =
        find_place(index, log, entry.kind == KV_TABLE_DAMAGE, &target);
    *is_new_out = !target.has_older;
    if (status == KVSTORE_OK) {
        point(index, log, &target, &entry);
    }
    return status;
}

static struct kv_table_entry entry_of(const struct kv_fold_item *item)
{
    return (struct kv_table_entry){.pointer = item->pointer,
                                   .kind = kv_index_kind(item)};
}

/* --- Applying --- */

static kvstore_status check_limit(const struct kv_fold_item *item)
{
    return item->pointer.offset + item->pointer.length > KV_OFFSET_MAX
               ? kv_fail_at(KVSTORE_TOO_LARGE,
                            item->pointer.offset,
                            "%s is longer than 1 TiB",
                            KV_LOG_NAME)
               : KVSTORE_OK;
}

kvstore_status kv_index_count_line(struct kv_index *index,
                                   const struct kv_fold_item *item)
{
    kvstore_status status = check_limit(item);
    if (status == KVSTORE_OK) {
        count_line(index, item);
    }
    return status;
}

void kv_index_begin_target(const struct kv_index *index,
                           const void *key,
                           size_t key_size,
                           struct kv_index_target *target_out)
{
    target_out->hash = kv_table_hash(&index->table, key, key_size);
    target_out->secret_word = index->table.secret.words[0];
    kv_table_prefetch(&index->table, target_out->hash.tag);
}

kvstore_status kv_index_find_target(const struct kv_index *index,
                                    const struct kv_log *log,
                                    const void *key,
                                    size_t key_size,
                                    struct kv_index_target *target)
{
    if (target->hash.tag == 0 ||
        target->secret_word != index->table.secret.words[0]) {
        target->hash = kv_table_hash(&index->table, key, key_size);
        target->secret_word = index->table.secret.words[0];
    }
    target->has_older = kv_table_find(
        &index->table, target->hash, false, &target->place, &target->older);
    return target->has_older
               ? measure(index, log, &target->older, &target->older_length)
               : KVSTORE_OK;
}

void kv_index_apply_target(struct kv_index *index,
                           const struct kv_log *log,
                           const struct kv_fold_item *item,
                           const struct kv_index_target *target)
{
    assert(kv_index_is_indexed(item));
    struct kv_table_entry entry = entry_of(item);
    struct kv_index_target now = {.hash = target->hash, .place = target->place};
    now.has_older = kv_table_find_on(
        &index->table, now.hash, false, &now.place, &now.older);
    if (now.has_older && target->has_older &&
        now.older.pointer.offset == target->older.pointer.offset) {
        now.older_length = target->older_length;
    }
    point(index, log, &now, &entry);
    count_line(index, item);
}

void kv_index_lengthen_damage(struct kv_index *index, uint64_t bytes)
{
    assert(!index->is_in_use);
    index->totals.counts.damaged_bytes += bytes;
    index->totals.applied += bytes;
    store_end(index, index->totals.applied);
}
