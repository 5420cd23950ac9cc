/* SPDX-License-Identifier: MIT */

/* Changing the index: applying lines in log order, counting bytes, growing.
 *
 * Invariants:
 * 1. counts.live + stale + blank + damaged bytes = header->applied.
 * 2. A line is applied whole or not at all: whatever can fail comes before the
 *    first change. */

#include "keydir.h"

#include "keydir_walk.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bounds.h"
#include "error.h"
#include "io.h"

/* --- Growing --- */

/* Puts a key's slot, with or without the flag, into an index where it has none
 * yet. */
static bool put_new(struct kv_index *index,
                    uint64_t hash,
                    struct kv_log_pointer pointer,
                    bool is_flagged)
{
    struct kv_index_probe probe = kv_index_probe_start(index, hash);
    struct kv_index_entry other;
    while (kv_index_probe_next(index, &probe, &other)) {
    }
    if (probe.has_place) {
        kv_index_put(index, &probe, pointer, is_flagged);
    }
    return probe.has_place;
}

/* Reads the line that a slot leads to and hashes its key into a new index. */
static kvstore_status hash_again(const struct kv_log *log,
                                 const struct kv_index_entry *entry,
                                 struct kv_index *index,
                                 bool *fits_out)
{
    struct kv_log_line line;
    struct kv_command command = {0};
    struct kv_keydir_key key = {0};
    *fits_out = true;
    kvstore_status status =
        kv_log_read_line(log, entry->offset, entry->about_size, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_command_decode(line.bytes, line.size, &command);
    if (status == KVSTORE_OK && command.has_key) {
        status = kv_keydir_get_key(&command, &key);
    } else if (status == KVSTORE_OK) {
        /* The line has rotted since it was indexed, and its key with it. */
        index->header->is_in_doubt = true;
    }
    if (key.bytes != NULL) {
        struct kv_log_pointer pointer = {.offset = entry->offset,
                                         .length = line.length};
        *fits_out = put_new(index,
                            kv_index_hash(index, key.bytes, key.size),
                            pointer,
                            entry->is_flagged);
    }
    kv_io_free(key.allocated);
    kv_command_release(&command);
    kv_log_line_release(&line);
    return status;
}

static kvstore_status fill_by_keys(const struct kv_index *index,
                                   const struct kv_log *log,
                                   struct kv_index *larger,
                                   bool *fits_out)
{
    uint32_t level = larger->header->level;
    *larger->header = *index->header;
    larger->header->level = level;
    larger->header->tag_level = level;
    larger->header->slots_used = 0;
    larger->header->slots_flagged = 0;

    *fits_out = true;
    kvstore_status status = KVSTORE_OK;
    struct kv_index_entry entry;
    for (uint64_t slot = 0; status == KVSTORE_OK && *fits_out &&
                            kv_index_next_entry(index, &slot, &entry);
         slot++) {
        status = hash_again(log, &entry, larger, fits_out);
    }
    return status;
}

/* Moves everything to a larger index; fits_out: it found room there. */
static kvstore_status grow_to(struct kv_keydir *keydir,
                              const struct kv_log *log,
                              unsigned level,
                              bool *fits_out)
{
    const struct kv_index *index = &keydir->index;
    struct kv_keydir larger;
    kvstore_status status =
        kv_keydir_create_at(level, index->header->seed, &larger);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (level == index->header->level + 1 && kv_index_can_spread(index)) {
        *fits_out = kv_index_spread(index, &larger.index);
    } else {
        status = fill_by_keys(index, log, &larger.index, fits_out);
    }
    if (status != KVSTORE_OK || !*fits_out) {
        kv_keydir_release(&larger);
        return status;
    }
    kv_keydir_release(keydir);
    *keydir = larger;
    return KVSTORE_OK;
}

static kvstore_status grow(struct kv_keydir *keydir, const struct kv_log *log)
{
    bool fits = false;
    unsigned level = keydir->index.header->level;
    while (!fits) {
        level++;
        if (level > KV_INDEX_LEVEL_MAX) {
            return kv_fail(KVSTORE_TOO_LARGE, "the index is at its limit");
        }
        kvstore_status status = grow_to(keydir, log, level, &fits);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    return KVSTORE_OK;
}

/* Walks to a key's slot. Where the key has none, the walk ends on an empty one
 * in an index that may take one more. */
static kvstore_status walk_to_place(struct kv_keydir *keydir,
                                    const struct kv_log *log,
                                    const struct kv_keydir_key *key,
                                    bool is_flagged,
                                    struct kv_keydir_find *find)
{
    kv_keydir_find_init(find);
    for (;;) {
        kvstore_status status =
            kv_keydir_walk(&keydir->index, log, key, is_flagged, find);
        bool has_room = !kv_index_is_full(&keydir->index) &&
                        find->place.has_place;
        if (status != KVSTORE_OK || find->is_found || has_room) {
            return status;
        }
        status = grow(keydir, log);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
}

kvstore_status kv_keydir_make_room(struct kv_keydir *keydir,
                                   const struct kv_log *log,
                                   const void *key,
                                   size_t key_size)
{
    if (!kv_index_is_full(&keydir->index)) {
        return KVSTORE_OK;
    }
    struct kv_keydir_key plain = {.bytes = key, .size = key_size};
    struct kv_keydir_find find;
    kvstore_status status = walk_to_place(keydir, log, &plain, false, &find);
    kv_keydir_find_release(&find);
    return status;
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

/* The older record of a key has become stale. */
static void count_superseded(struct kv_index_counts *counts,
                             const struct kv_keydir_find *older)
{
    uint64_t length = older->pointer.length;
    if (older->command.type == KV_COMMAND_SET) {
        assert(counts->keys > 0 && counts->live_bytes >= length);
        counts->keys--;
        counts->live_bytes -= length;
        counts->stale_bytes += length;
    } else {
        assert(counts->tombstone_bytes >= length);
        counts->tombstone_bytes -= length;
    }
}

static void finish_item(struct kv_index_header *header,
                        const struct kv_fold_item *item)
{
    count_item(&header->counts, item);
    header->applied = item->pointer.offset + item->pointer.length;
    header->follows_damage = item->command->type == KV_COMMAND_DAMAGED;
    if (item->bytes != NULL) {
        header->last = item->pointer;
        header->last_hash = XXH3_64bits(item->bytes, item->size);
    }
    assert(header->counts.live_bytes + header->counts.stale_bytes +
               header->counts.blank_bytes + header->counts.damaged_bytes ==
           header->applied);
}

static kvstore_status put_item(struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_fold_item *item)
{
    struct kv_keydir_find older;
    struct kv_keydir_key key;
    kvstore_status status = kv_keydir_get_key(item->command, &key);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = walk_to_place(keydir, log, &key, kv_keydir_is_flagged(item), &older);
    if (status == KVSTORE_OK) {
        struct kv_index_header *header = keydir->index.header;
        kv_index_put(
            &keydir->index, &older.place, item->pointer, kv_keydir_is_flagged(item));
        header->is_in_doubt |= older.doubt_offset != KV_NO_OFFSET;
        if (older.is_found && !kv_keydir_is_flagged(item)) {
            count_superseded(&header->counts, &older);
        }
    }
    kv_keydir_find_release(&older);
    kv_io_free(key.allocated);
    return status;
}

kvstore_status kv_keydir_apply(struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_fold_item *item)
{
    assert(item->pointer.offset == keydir->index.header->applied);
    if (item->pointer.offset + item->pointer.length > KV_OFFSET_MAX) {
        return kv_fail_at(KVSTORE_TOO_LARGE,
                          item->pointer.offset,
                          "%s is longer than 16 TiB",
                          KV_LOG_NAME);
    }
    if (kv_keydir_is_indexed(item)) {
        kvstore_status status = put_item(keydir, log, item);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    finish_item(keydir->index.header, item);
    return KVSTORE_OK;
}

kvstore_status kv_keydir_apply_new(struct kv_keydir *keydir,
                                   const struct kv_fold_item *item)
{
    if (kv_keydir_is_indexed(item)) {
        struct kv_keydir_key key;
        kvstore_status status = kv_keydir_get_key(item->command, &key);
        if (status != KVSTORE_OK) {
            return status;
        }
        uint64_t hash = kv_index_hash(&keydir->index, key.bytes, key.size);
        bool fits =
            put_new(&keydir->index, hash, item->pointer, kv_keydir_is_flagged(item));
        kv_io_free(key.allocated);
        if (!fits) {
            return kv_fail(KVSTORE_TOO_LARGE, "the index has no room");
        }
    }
    finish_item(keydir->index.header, item);
    return KVSTORE_OK;
}
