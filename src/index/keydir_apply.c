/* SPDX-License-Identifier: MIT */

/* Changing the index: applying lines in log order, counting bytes, growing.
 *
 * Invariants:
 * 1. counts.live + stale + blank + damaged bytes = header->applied.
 * 2. A line is applied whole or not at all: whatever can fail comes before the
 *    first change. */

#include "index/keydir.h"
#include "index/keydir_walk.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include "os/bounds.h"
#include "os/error.h"
#include "os/io.h"

#include <xxhash.h>

#define HASHED_AGAIN_MAX 65536u

/* How many levels an index goes up at once, where its slots do not fit the next
 * one. Only keys that were made to share their hash need more. */
#define LEVELS_MAX 2u

/* --- Growing --- */

/* Puts a key's slot, with or without the flag, into an index where it has none
 * yet. */
static bool put_new(struct kv_keydir *keydir,
                    uint64_t hash,
                    uint64_t offset,
                    bool is_flagged)
{
    struct kv_index *index = &keydir->index;
    struct kv_index_probe probe = kv_index_probe_start(index, hash);
    struct kv_index_entry other;
    while (kv_index_probe_next(index, &probe, &other)) {
    }
    if (probe.has_place) {
        kv_index_put(index, &keydir->totals, &probe, offset, is_flagged);
    }
    return probe.has_place;
}

/* Reads the line that a slot leads to and hashes its key into a new index. */
static kvstore_status hash_again(const struct kv_log *log,
                                 const struct kv_index_entry *entry,
                                 uint64_t end,
                                 struct kv_keydir *larger,
                                 bool *fits_out)
{
    struct kv_log_line line;
    struct kv_command command = {0};
    struct kv_keydir_key key = {0};
    *fits_out = true;
    kvstore_status status =
        kv_keydir_read_entry(log, entry, end, &line, &command);
    if (status == KVSTORE_OK && command.has_key) {
        status = kv_keydir_get_key(&larger->index, &command, &key);
    } else if (status == KVSTORE_OK) {
        /* The line has rotted since it was indexed, and its key with it. */
        larger->totals.is_in_doubt = 1;
    }
    if (key.bytes != NULL) {
        *fits_out = put_new(larger, key.hash, entry->offset, entry->is_flagged);
    }
    kv_io_free(key.allocated);
    kv_command_release(&command);
    kv_log_line_release(&line);
    return status;
}

static kvstore_status fill_by_keys(const struct kv_keydir *keydir,
                                   const struct kv_log *log,
                                   struct kv_keydir *larger,
                                   bool *fits_out)
{
    larger->totals.slots_used = 0;
    larger->totals.slots_flagged = 0;
    *fits_out = true;
    kvstore_status status = KVSTORE_OK;
    uint64_t end = atomic_load(&keydir->index.header->end);
    struct kv_index_entry entry;
    for (uint64_t slot = 0; status == KVSTORE_OK && *fits_out &&
                            kv_index_next_entry(&keydir->index, &slot, &entry);
         slot++) {
        status = hash_again(log, &entry, end, larger, fits_out);
    }
    return status;
}

/* With few keys, hashing them again takes a moment; and all bits of their tags
 * are there for the many growths to come. */
static bool has_few_keys(const struct kv_keydir *keydir)
{
    return keydir->totals.slots_used <= HASHED_AGAIN_MAX;
}

static bool is_hashed_again(const struct kv_keydir *keydir, unsigned level)
{
    return level > keydir->index.level &&
           (has_few_keys(keydir) ||
            !kv_index_can_spread(&keydir->index, level));
}

bool kv_keydir_is_worn(const struct kv_keydir *keydir)
{
    return !has_few_keys(keydir) &&
           !kv_index_can_spread(&keydir->index, keydir->index.level + 1);
}

bool kv_keydir_is_crowded(const struct kv_keydir *keydir)
{
    return kv_index_has_room(&keydir->index, keydir->totals.slots_used * 2);
}

/* Copies everything to an index of another level; fits_out: it found room
 * there. */
static kvstore_status copy_to_level(const struct kv_keydir *keydir,
                                    const struct kv_log *log,
                                    unsigned level,
                                    struct kv_keydir *other_out,
                                    bool *fits_out)
{
    const struct kv_index *index = &keydir->index;
    kvstore_status status = kv_keydir_create_at(
        level, index->seed, keydir->directory, log, other_out);
    if (status != KVSTORE_OK) {
        return status;
    }
    other_out->totals = keydir->totals;
    if (is_hashed_again(keydir, level)) {
        status = fill_by_keys(keydir, log, other_out, fits_out);
    } else {
        *fits_out = kv_index_spread(index, &other_out->index);
    }
    if (status != KVSTORE_OK || !*fits_out) {
        kv_keydir_release(other_out);
        return status;
    }
    struct kv_index_header *header = other_out->index.header;
    atomic_store(&header->end, atomic_load(&index->header->end));
    atomic_store(&header->has_flags, atomic_load(&index->header->has_flags));
    atomic_store(&header->failed_at, atomic_load(&index->header->failed_at));
    atomic_store(&header->slow_until, atomic_load(&index->header->slow_until));
    return KVSTORE_OK;
}

kvstore_status kv_keydir_create_larger(const struct kv_keydir *keydir,
                                       const struct kv_log *log,
                                       struct kv_keydir *larger_out)
{
    bool fits = false;
    unsigned level = keydir->index.level;
    while (!fits) {
        level++;
        if (level > KV_INDEX_LEVEL_MAX ||
            level > keydir->index.level + LEVELS_MAX) {
            return kv_fail(KVSTORE_TOO_LARGE, "the index is at its limit");
        }
        kvstore_status status =
            copy_to_level(keydir, log, level, larger_out, &fits);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    return KVSTORE_OK;
}

static kvstore_status grow(struct kv_keydir *keydir, const struct kv_log *log)
{
    if (keydir->is_live) {
        return KVSTORE_CONFLICT;
    }
    struct kv_keydir larger;
    kvstore_status status = kv_keydir_create_larger(keydir, log, &larger);
    if (status == KVSTORE_OK) {
        kv_keydir_release(keydir);
        *keydir = larger;
    }
    return status;
}

void kv_keydir_shrink(struct kv_keydir *keydir, const struct kv_log *log)
{
    assert(!keydir->is_live);
    unsigned level = kv_index_level_for(keydir->totals.slots_used);
    if (level >= keydir->index.level) {
        return;
    }
    bool fits = false;
    struct kv_keydir smaller;
    kvstore_error before = *kvstore_last_error();
    if (copy_to_level(keydir, log, level, &smaller, &fits) == KVSTORE_OK &&
        fits) {
        kv_keydir_release(keydir);
        *keydir = smaller;
    }
    kv_fail_again(&before);
}

static bool is_reserved(const struct kv_keydir_reserve *reserve, uint64_t slot)
{
    unsigned i = 0;
    while (i < reserve->count && reserve->slots[i] != slot) {
        i++;
    }
    return i < reserve->count;
}

/* Goes past the empty slots that are reserved for others, and reserves one. */
static bool reserve_place(const struct kv_keydir *keydir,
                          struct kv_keydir_reserve *reserve,
                          struct kv_index_probe *place)
{
    while (place->has_place && is_reserved(reserve, place->slot)) {
        kv_index_probe_skip(&keydir->index, place);
    }
    uint64_t used = keydir->totals.slots_used + reserve->count;
    if (!place->has_place || !kv_index_has_room(&keydir->index, used)) {
        return false;
    }
    assert(reserve->count < KV_KEYDIR_RESERVE_MAX);
    reserve->slots[reserve->count++] = place->slot;
    return true;
}

/* Walks to a key's slot. Where the key has none, the walk ends on an empty one
 * in an index that may take one more. */
static kvstore_status walk_to_place(struct kv_keydir *keydir,
                                    const struct kv_log *log,
                                    const struct kv_keydir_key *key,
                                    bool is_flagged,
                                    struct kv_keydir_reserve *reserve,
                                    struct kv_keydir_find *find)
{
    kv_keydir_find_init(find);
    for (;;) {
        kvstore_status status =
            kv_keydir_walk(&keydir->index, log, key, is_flagged, find);
        if (status != KVSTORE_OK || find->is_found ||
            reserve_place(keydir, reserve, &find->place)) {
            return status;
        }
        assert(keydir->is_live || reserve->count == 0);
        status = grow(keydir, log);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
}

kvstore_status kv_keydir_prepare(struct kv_keydir *keydir,
                                 const struct kv_log *log,
                                 const void *key,
                                 size_t key_size,
                                 struct kv_keydir_reserve *reserve,
                                 struct kv_keydir_find *older_out)
{
    struct kv_keydir_key plain =
        kv_keydir_plain_key(&keydir->index, key, key_size);
    kvstore_status status =
        walk_to_place(keydir, log, &plain, false, reserve, older_out);
    if (status != KVSTORE_OK) {
        kv_keydir_find_release(older_out);
    }
    return status;
}

void kv_keydir_find_after(const struct kv_keydir_find *earlier,
                          enum kv_command_type type,
                          struct kv_log_pointer pointer,
                          struct kv_keydir_find *older_out)
{
    kv_keydir_find_init(older_out);
    older_out->is_found = true;
    older_out->pointer = pointer;
    older_out->command.type = type;
    older_out->place = earlier->place;
}

/* --- Applying --- */

/* What a line adds to the counts, its key's older record apart. */
static void count_item(struct kv_index_counts *counts,
                       const struct kv_fold_item *item)
{
    uint64_t length = item->pointer.length;
    switch (item->type) {
    case KV_COMMAND_BLANK:
        counts->blank_bytes += length;
        break;
    case KV_COMMAND_DAMAGED:
        counts->damaged_bytes += length;
        counts->damaged_records++;
        if (counts->damaged_offset == UINT64_MAX) {
            counts->damaged_offset = item->pointer.offset;
        }
        break;
    case KV_COMMAND_UNKNOWN:
        counts->unknown_records++;
        if (counts->unknown_offset == UINT64_MAX) {
            counts->unknown_offset = item->pointer.offset;
        }
        counts->live_bytes += length;
        break;
    case KV_COMMAND_SET:
        counts->live_bytes += length;
        counts->keys += kv_keydir_is_reachable(item) ? 1 : 0;
        break;
    case KV_COMMAND_REMOVE:
        if (kv_keydir_is_reachable(item)) {
            counts->stale_bytes += length;
            counts->tombstone_bytes += length;
        } else {
            counts->live_bytes += length;
        }
        break;
    }
}

/* The older record of a key has become stale. False where the counts cannot
 * have held it: the index has lied. */
static bool count_superseded(struct kv_index_counts *counts,
                             const struct kv_keydir_find *older)
{
    uint64_t length = older->pointer.length;
    if (older->command.type == KV_COMMAND_SET) {
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

/* Counts a line in the totals, and publishes them if others look. */
static void finish_item(struct kv_keydir *keydir,
                        const struct kv_fold_item *item)
{
    struct kv_index_totals *totals = &keydir->totals;
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
        &keydir->index.header->end, totals->applied, memory_order_release);
    if (keydir->is_live) {
        kv_index_store_totals(&keydir->index, totals);
        kv_io_step("totals");
    }
}

/* Opens what readers may look at, before a slot leads there. */
static void announce(struct kv_keydir *keydir, const struct kv_fold_item *item)
{
    struct kv_index_header *header = keydir->index.header;
    atomic_store_explicit(&header->end,
                          item->pointer.offset + item->pointer.length,
                          memory_order_release);
    if (kv_keydir_is_flagged(item)) {
        atomic_store_explicit(&header->has_flags, 1, memory_order_release);
    }
    kv_io_step("end");
}

/* Points the key's slot at the item. Where it does so already, or leads beyond,
 * a writer has died between slot and totals: the older record, which the totals
 * would have to lose, is not to be found any more. */
static void take_place(struct kv_keydir *keydir,
                       const struct kv_keydir_find *older,
                       const struct kv_fold_item *item)
{
    struct kv_index_totals *totals = &keydir->totals;
    bool is_flag = kv_keydir_is_flagged(item);
    bool is_done =
        older->is_found && older->pointer.offset >= item->pointer.offset;
    if (older->doubt_offset != KV_NO_OFFSET || is_done) {
        totals->is_in_doubt = 1;
    }
    if (is_done) {
        return;
    }
    announce(keydir, item);
    kv_index_put(
        &keydir->index, totals, &older->place, item->pointer.offset, is_flag);
    kv_io_step("slot");
    if (older->is_found && !is_flag &&
        !count_superseded(&totals->counts, older)) {
        totals->is_in_doubt = 1;
    }
}

static kvstore_status put_item(struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_fold_item *item,
                               const struct kv_keydir_key *key)
{
    struct kv_keydir_find older;
    struct kv_keydir_reserve reserve;
    reserve.count = 0;
    bool is_flagged = kv_keydir_is_flagged(item);
    kvstore_status status =
        walk_to_place(keydir, log, key, is_flagged, &reserve, &older);
    if (status == KVSTORE_OK) {
        take_place(keydir, &older, item);
    }
    kv_keydir_find_release(&older);
    return status;
}

void kv_keydir_commit(struct kv_keydir *keydir,
                      const struct kv_keydir_find *older,
                      const struct kv_fold_item *item)
{
    assert(item->pointer.offset == keydir->totals.applied);
    assert(kv_keydir_is_indexed(item) && !kv_keydir_is_flagged(item));
    take_place(keydir, older, item);
    finish_item(keydir, item);
}

kvstore_status kv_keydir_apply_key(struct kv_keydir *keydir,
                                   const struct kv_log *log,
                                   const struct kv_fold_item *item,
                                   const struct kv_keydir_key *key)
{
    assert(item->pointer.offset == keydir->totals.applied);
    if (item->pointer.offset + item->pointer.length > KV_OFFSET_MAX) {
        return kv_fail_at(KVSTORE_TOO_LARGE,
                          item->pointer.offset,
                          "%s is longer than 16 TiB",
                          KV_LOG_NAME);
    }
    if (kv_keydir_is_indexed(item)) {
        kvstore_status status = put_item(keydir, log, item, key);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    finish_item(keydir, item);
    return KVSTORE_OK;
}

kvstore_status kv_keydir_apply(struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_fold_item *item)
{
    struct kv_keydir_key key = {0};
    kvstore_status status = KVSTORE_OK;
    if (kv_keydir_is_indexed(item)) {
        status = kv_keydir_get_key(&keydir->index, item->command, &key);
    }
    if (status == KVSTORE_OK) {
        status = kv_keydir_apply_key(keydir, log, item, &key);
    }
    kv_io_free(key.allocated);
    return status;
}

kvstore_status kv_keydir_apply_new_hash(struct kv_keydir *keydir,
                                        const struct kv_fold_item *item,
                                        uint64_t hash)
{
    announce(keydir, item);
    if (!put_new(
            keydir, hash, item->pointer.offset, kv_keydir_is_flagged(item))) {
        return kv_fail(KVSTORE_TOO_LARGE, "the index has no room");
    }
    finish_item(keydir, item);
    return KVSTORE_OK;
}

kvstore_status kv_keydir_apply_new(struct kv_keydir *keydir,
                                   const struct kv_fold_item *item)
{
    if (!kv_keydir_is_indexed(item)) {
        finish_item(keydir, item);
        return KVSTORE_OK;
    }
    struct kv_keydir_key key;
    kvstore_status status =
        kv_keydir_get_key(&keydir->index, item->command, &key);
    if (status == KVSTORE_OK) {
        status = kv_keydir_apply_new_hash(keydir, item, key.hash);
        kv_io_free(key.allocated);
    }
    return status;
}

void kv_keydir_lengthen_damage(struct kv_keydir *keydir, uint64_t bytes)
{
    assert(!keydir->is_live);
    keydir->totals.counts.damaged_bytes += bytes;
    keydir->totals.applied += bytes;
    atomic_store_explicit(&keydir->index.header->end,
                          keydir->totals.applied,
                          memory_order_release);
}
