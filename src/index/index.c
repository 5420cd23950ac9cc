/* SPDX-License-Identifier: MIT */

/* Finds keys: the index says where a key may be, and the lines there are
 * compared with it. */

#include "index/index.h"

#include "log/cursor.h"
#include "log/line.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/text.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- Memory --- */

kvstore_status kv_index_create_at(unsigned level,
                                  uint64_t seed,
                                  const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  struct kv_index *index_out)
{
    *index_out = KV_INDEX_NONE;
    struct kv_index index = {.directory = directory,
                             .totals = kv_table_no_totals()};
    kvstore_status status = KVSTORE_OK;
    if (directory == NULL) {
        status = kv_index_file_create_private(
            level, seed, &index.memory, &index.table);
    } else {
        status = kv_index_file_create(
            directory, &log->file, level, seed, &index.memory, &index.table);
    }
    if (status == KVSTORE_OK) {
        *index_out = index;
    }
    return status;
}

kvstore_status kv_index_create(uint64_t key_count,
                               const struct kv_io_file *directory,
                               const struct kv_log *log,
                               struct kv_index *index_out)
{
    *index_out = KV_INDEX_NONE;
    uint64_t seed = 0;
    kvstore_status status = kv_io_random(&seed);
    if (status != KVSTORE_OK) {
        return status;
    }
    return kv_index_create_at(
        kv_table_level_for(key_count), seed, directory, log, index_out);
}

kvstore_status kv_index_create_like(const struct kv_index *model,
                                    uint64_t key_count,
                                    const struct kv_log *log,
                                    struct kv_index *index_out)
{
    return kv_index_create_at(kv_table_level_for(key_count),
                              model->table.seed,
                              model->directory,
                              log,
                              index_out);
}

void kv_index_release(struct kv_index *index)
{
    kv_index_file_release(index->directory, &index->memory);
    *index = KV_INDEX_NONE;
}

void kv_index_begin_use(struct kv_index *index)
{
    assert(!index->is_in_use && !index->is_shared);
    kv_table_store_totals(&index->table, &index->totals);
    index->is_in_use = true;
}

bool kv_index_refresh(struct kv_index *index)
{
    assert(index->is_in_use);
    struct kv_table_totals totals;
    if (!kv_table_load_totals(&index->table, &totals) ||
        !kv_table_totals_add_up(&index->table, &totals)) {
        return false;
    }
    index->totals = totals;
    return true;
}

/* --- Keys of lines --- */

struct kv_index_key kv_index_plain_key(const struct kv_table *table,
                                       const void *bytes,
                                       size_t size)
{
    return (struct kv_index_key){.bytes = bytes,
                                 .size = size,
                                 .hash = kv_table_hash(table, bytes, size)};
}

kvstore_status kv_index_get_key(const struct kv_table *table,
                                const struct kv_record *record,
                                struct kv_index_key *key_out)
{
    const struct kv_text *text = &record->key;
    if (text->form == KV_TEXT_PLAIN) {
        *key_out = kv_index_plain_key(table, text->raw, text->size);
        return KVSTORE_OK;
    }
    void *bytes = kv_io_allocate(text->size + 1);
    if (bytes == NULL) {
        *key_out = (struct kv_index_key){.bytes = NULL};
        return KVSTORE_NO_MEMORY;
    }
    if (!kv_text_decode(text, bytes)) {
        kv_io_free(bytes);
        *key_out = (struct kv_index_key){.bytes = NULL};
        return kv_fail(KVSTORE_CORRUPT,
                       "%s was changed under a running program",
                       KV_LOG_NAME);
    }
    *key_out = kv_index_plain_key(table, bytes, text->size);
    key_out->allocated = bytes;
    return KVSTORE_OK;
}

bool kv_index_is_reachable(const struct kv_fold_item *item)
{
    return item->record->has_key && item->record->key.size >= 1 &&
           item->record->key.size <= KV_KEY_SIZE_MAX;
}

bool kv_index_is_indexed(const struct kv_fold_item *item)
{
    return item->type != KV_RECORD_BLANK && kv_index_is_reachable(item);
}

bool kv_index_is_flagged(const struct kv_fold_item *item)
{
    return item->type == KV_RECORD_DAMAGED || item->type == KV_RECORD_UNKNOWN;
}

/* --- Finding --- */

/* Reads a line with the flag. If it begins like a canonical one, its head names
 * the key, and nothing more is needed. */
static kvstore_status read_told_line(const struct kv_log *log,
                                     uint64_t offset,
                                     uint64_t end,
                                     struct kv_log_line *line,
                                     struct kv_record *record)
{
    uint64_t head_end = offset + KV_LOG_HEAD_SIZE + 1;
    uint64_t most = head_end < end ? head_end : end;
    kvstore_status status = kv_log_read_line(log, offset, most, line);
    if (status != KVSTORE_OK || line->size < KV_LOG_HEAD_SIZE || most == end) {
        return status == KVSTORE_OK
                   ? kv_record_decode(line->bytes, line->size, record)
                   : status;
    }
    kv_record_tell_key(line->bytes, line->size, record);
    if (record->has_key) {
        return KVSTORE_OK;
    }
    kv_log_line_release(line);
    status = kv_log_read_line(log, offset, end, line);
    return status == KVSTORE_OK
               ? kv_record_decode(line->bytes, line->size, record)
               : status;
}

kvstore_status kv_index_read_entry(const struct kv_log *log,
                                   const struct kv_table_entry *entry,
                                   uint64_t end,
                                   struct kv_log_line *line_out,
                                   struct kv_record *record_out)
{
    record_out->owned = NULL;
    if (entry->is_flagged) {
        return read_told_line(log, entry->offset, end, line_out, record_out);
    }
    kvstore_status status = kv_log_read_line(log, entry->offset, end, line_out);
    return status == KVSTORE_OK
               ? kv_record_decode(line_out->bytes, line_out->size, record_out)
               : status;
}

/* Checks whether the slot at find->place can lead to the line of another key
 * that was read there. */
static kvstore_status doubt_other_key(const struct kv_table *table,
                                      uint64_t offset,
                                      struct kv_index_find *find)
{
    struct kv_index_key other;
    kvstore_status status = kv_index_get_key(table, &find->record, &other);
    if (status == KVSTORE_OK) {
        if (!kv_table_probe_fits(table, &find->place, other.hash)) {
            find->doubt_offset = offset;
        }
        kv_io_free(other.allocated);
    }
    return status;
}

/* True if a slot of this kind may lead to such a line. A sound record has a
 * flag only if it is of a batch that is not whole. */
static bool may_lead_to(const struct kv_table_entry *entry,
                        const struct kv_record *record)
{
    return entry->is_flagged
               ? !kv_record_is_record(record) || record->batch != 0
               : kv_record_is_record(record);
}

/* Reads the line that a slot leads to, and judges whether it is about the
 * key. */
static kvstore_status visit_entry(const struct kv_table *table,
                                  const struct kv_log *log,
                                  const struct kv_index_key *key,
                                  struct kv_table_entry entry,
                                  struct kv_index_find *find)
{
    uint64_t end =
        atomic_load_explicit(&table->header->end, memory_order_acquire);
    bool begins_line = false;
    kvstore_status status = KVSTORE_OK;
    if (entry.offset < end) {
        status = kv_log_begins_line(log, entry.offset, &begins_line);
    }
    if (status != KVSTORE_OK || !begins_line) {
        find->doubt_offset = entry.offset;
        return status;
    }
    kv_index_find_release(find);
    status = kv_index_read_entry(log, &entry, end, &find->line, &find->record);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (!find->record.has_key || !may_lead_to(&entry, &find->record)) {
        find->doubt_offset = entry.offset;
        return KVSTORE_OK;
    }
    if (!kv_text_equals(&find->record.key, key->bytes, key->size)) {
        return doubt_other_key(table, entry.offset, find);
    }
    find->is_found = true;
    find->pointer = (struct kv_log_pointer){.offset = entry.offset,
                                            .length = find->line.length};
    return KVSTORE_OK;
}

/* Reads the lines that slots lead to, beginning with the entry at
 * find->place. */
static kvstore_status walk_on(const struct kv_table *table,
                              const struct kv_log *log,
                              const struct kv_index_key *key,
                              bool is_flagged,
                              struct kv_table_entry entry,
                              struct kv_index_find *find)
{
    kvstore_status status = KVSTORE_OK;
    do {
        if (entry.is_flagged == is_flagged) {
            status = visit_entry(table, log, key, entry, find);
        }
    } while (status == KVSTORE_OK && !find->is_found &&
             kv_table_probe_next(table, &find->place, &entry));
    return status;
}

kvstore_status kv_index_walk(const struct kv_table *table,
                             const struct kv_log *log,
                             const struct kv_index_key *key,
                             bool is_flagged,
                             struct kv_index_find *find)
{
    find->is_found = false;
    find->place = kv_table_probe_start(table, key->hash);
    struct kv_table_entry entry;
    return kv_table_probe_next(table, &find->place, &entry)
               ? walk_on(table, log, key, is_flagged, entry, find)
               : KVSTORE_OK;
}

void kv_index_find_init(struct kv_index_find *find)
{
    find->is_found = false;
    find->flagged_offset = KV_NO_OFFSET;
    find->doubts_flag = false;
    find->is_unknown = false;
    find->doubt_offset = KV_NO_OFFSET;
    find->record.owned = NULL;
    find->line.allocated = NULL;
}

/* True if the log has records of a newer version: one of a batch that is not
 * whole is damage. */
static bool has_newer(const struct kv_table *table)
{
    struct kv_table_totals totals;
    return kv_table_load_totals(table, &totals) &&
           totals.counts.unknown_records > 0;
}

/* Finds the newest line that names the key and cannot be served. Nearly always
 * there is none. */
static kvstore_status find_flagged(const struct kv_table *table,
                                   const struct kv_log *log,
                                   const struct kv_index_key *key,
                                   struct kv_index_find *find)
{
    if (atomic_load_explicit(&table->header->has_flags, memory_order_acquire) ==
        0) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_index_walk(table, log, key, true, find);
    find->doubts_flag = find->doubt_offset != KV_NO_OFFSET;
    if (status == KVSTORE_OK && find->is_found) {
        find->is_found = false;
        find->flagged_offset = find->pointer.offset;
        find->is_unknown = find->record.type == KV_RECORD_UNKNOWN &&
                           (find->record.batch == 0 || has_newer(table));
    }
    return status;
}

kvstore_status kv_index_find(const struct kv_index *index,
                             const struct kv_log *log,
                             const void *key,
                             size_t key_size,
                             struct kv_index_find *find_out)
{
    assert(key_size >= 1 && key_size <= KV_KEY_SIZE_MAX);
    const struct kv_table *table = &index->table;
    struct kv_index_key plain = kv_index_plain_key(table, key, key_size);
    kv_index_find_init(find_out);
    kvstore_status status = find_flagged(table, log, &plain, find_out);
    if (status == KVSTORE_OK) {
        status = kv_index_walk(table, log, &plain, false, find_out);
    }
    if (status != KVSTORE_OK) {
        kv_index_find_release(find_out);
    }
    return status;
}

kvstore_status kv_index_go_on(const struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_index_start *start,
                              struct kv_index_find *find_out)
{
    const struct kv_table *table = &index->table;
    kv_index_find_init(find_out);
    kvstore_status status = find_flagged(table, log, &start->key, find_out);
    find_out->place = start->place;
    if (status == KVSTORE_OK && start->has_entry) {
        status =
            walk_on(table, log, &start->key, false, start->entry, find_out);
    }
    if (status != KVSTORE_OK) {
        kv_index_find_release(find_out);
    }
    return status;
}

void kv_index_find_release(struct kv_index_find *find)
{
    kv_record_release(&find->record);
    kv_log_line_release(&find->line);
}

/* --- Checking --- */

kvstore_status kv_index_note_last(struct kv_index *index,
                                  const struct kv_log *log,
                                  struct kv_log_pointer pointer)
{
    struct kv_log_line line;
    kvstore_status status = kv_log_read_line(
        log, pointer.offset, pointer.offset + pointer.length, &line);
    if (status == KVSTORE_OK) {
        index->totals.last = pointer;
        index->totals.last_hash = XXH3_64bits(line.bytes, line.size);
        kv_log_line_release(&line);
        if (index->is_in_use) {
            kv_table_store_totals(&index->table, &index->totals);
        }
    }
    return status;
}

kvstore_status kv_index_matches(const struct kv_index *index,
                                const struct kv_log *log,
                                bool *matches_out)
{
    const struct kv_table_totals *totals = &index->totals;
    *matches_out = true;
    if (totals->last.length == 0) {
        return KVSTORE_OK;
    }
    struct kv_log_line line;
    /* One byte more than the line had, so that a longer one is noticed; and not
     * in a mapping, since the log may have been cut short. */
    uint64_t end = totals->last.offset + totals->last.length + 1;
    struct kv_log unmapped = *log;
    unmapped.map = NULL;
    kvstore_status status =
        kv_log_read_line(&unmapped, totals->last.offset, end, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    *matches_out = line.length == totals->last.length &&
                   XXH3_64bits(line.bytes, line.size) == totals->last_hash;
    kv_log_line_release(&line);
    return KVSTORE_OK;
}
