/* SPDX-License-Identifier: MIT */

/* Finds keys: the index says where a key may be, and the lines there are
 * compared with it. */

#include "index/index.h"

#include "log/cursor.h"
#include "log/line.h"
#include "log/map.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/match.h"
#include "record/sum.h"
#include "record/text.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- Memory --- */

static kvstore_status create_with(const struct kv_table_secret *secret,
                                  uint64_t key_count,
                                  const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  struct kv_index *index_out)
{
    *index_out = KV_INDEX_NONE;
    uint64_t bucket_count = kv_table_buckets_for(key_count);
    struct kv_index index = {.directory = directory,
                             .totals = kv_table_no_totals()};
    kvstore_status status = kv_index_file_create(
        directory, &log->file, bucket_count, &index.memory);
    if (status != KVSTORE_OK) {
        return status;
    }
    status =
        kv_index_file_format(&index.memory, bucket_count, secret, &index.table);
    if (status != KVSTORE_OK) {
        kv_index_release(&index);
        return status;
    }
    *index_out = index;
    return KVSTORE_OK;
}

kvstore_status kv_index_create(uint64_t key_count,
                               const struct kv_io_file *directory,
                               const struct kv_log *log,
                               struct kv_index *index_out)
{
    *index_out = KV_INDEX_NONE;
    struct kv_table_secret secret;
    kvstore_status status = kv_io_random(&secret, sizeof secret);
    return status == KVSTORE_OK
               ? create_with(&secret, key_count, directory, log, index_out)
               : status;
}

kvstore_status kv_index_create_like(const struct kv_index *model,
                                    uint64_t key_count,
                                    const struct kv_log *log,
                                    struct kv_index *index_out)
{
    const struct kv_table_secret *secret = &model->table.secret;
    kv_error_hold();
    kvstore_status status =
        create_with(secret, key_count, model->directory, log, index_out);
    if (status == KVSTORE_IO && kv_index_file_is_refused()) {
        status = create_with(secret, key_count, NULL, log, index_out);
    }
    return kv_error_release_after(status);
}

void kv_index_release(struct kv_index *index)
{
    kv_index_file_release(index->directory, &index->memory);
    *index = KV_INDEX_NONE;
}

void kv_index_store_totals(struct kv_index *index)
{
    assert(!index->is_in_use && !index->is_shared);
    atomic_store_explicit(
        &index->table.header->end, index->totals.applied, memory_order_release);
    kv_table_store_totals(&index->table, &index->totals);
}

void kv_index_begin_use(struct kv_index *index)
{
    kv_index_store_totals(index);
    index->is_in_use = true;
}

bool kv_index_refresh(struct kv_index *index)
{
    assert(index->is_in_use);
    index->totals = kv_table_peek_totals(&index->table);
    index->is_in_doubt =
        kv_table_writing(&index->table) == KV_TABLE_PUBLISHING ||
        atomic_load(&index->table.header->end) != index->totals.applied ||
        !kv_table_totals_add_up(&index->table, &index->totals);
    return !index->is_in_doubt;
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

enum kv_table_kind kv_index_kind(const struct kv_fold_item *item)
{
    switch (item->type) {
    case KV_RECORD_SET:
        return item->record->expires_ms == 0 ? KV_TABLE_SET
                                             : KV_TABLE_EXPIRING_SET;
    case KV_RECORD_REMOVE:
        return KV_TABLE_REMOVE;
    default:
        return KV_TABLE_DAMAGE;
    }
}

/* --- Finding --- */

/* Reads a line that cannot be served. If it begins like a canonical one, its
 * head names the key, and nothing more is needed. */
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

/* Reads and decodes the line that a slot leads to. begins_line_out: false if no
 * line begins there. The caller releases line and record, also after a
 * failure. */
static kvstore_status read_entry(const struct kv_log *log,
                                 const struct kv_table_entry *entry,
                                 uint64_t end,
                                 struct kv_index_find *find,
                                 bool *begins_line_out)
{
    uint64_t offset = entry->pointer.offset;
    kvstore_status status = KVSTORE_OK;
    if (entry->kind != KV_TABLE_DAMAGE && !kv_table_is_long(entry)) {
        status = kv_log_read_record(
            log, entry->pointer, &find->line, begins_line_out);
        return status == KVSTORE_OK && *begins_line_out
                   ? kv_record_decode(
                         find->line.bytes, find->line.size, &find->record)
                   : status;
    }
    status = kv_log_begins_line(log, offset, begins_line_out);
    if (status != KVSTORE_OK || !*begins_line_out) {
        return status;
    }
    if (entry->kind == KV_TABLE_DAMAGE) {
        return read_told_line(log, offset, end, &find->line, &find->record);
    }
    status = kv_log_read_line(log, offset, end, &find->line);
    return status == KVSTORE_OK ? kv_record_decode(find->line.bytes,
                                                   find->line.size,
                                                   &find->record)
                                : status;
}

/* True if a slot of this kind may lead to such a line. A sound record is damage
 * only if it is of a batch that is not whole. */
static bool may_lead_to(enum kv_table_kind kind, const struct kv_record *record)
{
    switch (kind) {
    case KV_TABLE_SET:
        return record->type == KV_RECORD_SET && record->expires_ms == 0;
    case KV_TABLE_EXPIRING_SET:
        return record->type == KV_RECORD_SET && record->expires_ms != 0;
    case KV_TABLE_REMOVE:
        return record->type == KV_RECORD_REMOVE;
    case KV_TABLE_DAMAGE:
        break;
    }
    return !kv_record_is_record(record) || record->batch != 0;
}

/* Reads the line that the key's slot leads to, and judges whether it is what
 * the slot was made for. */
static kvstore_status visit_entry(const struct kv_table *table,
                                  const struct kv_log *log,
                                  const struct kv_index_key *key,
                                  const struct kv_table_entry *entry,
                                  struct kv_index_find *find)
{
    uint64_t end =
        atomic_load_explicit(&table->header->end, memory_order_acquire);
    bool begins_line = false;
    kvstore_status status = KVSTORE_OK;
    kv_index_find_release(find);
    if (entry->pointer.length > 0 &&
        entry->pointer.offset + entry->pointer.length <= end) {
        status = read_entry(log, entry, end, find, &begins_line);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    if (!begins_line || !find->record.has_key ||
        !may_lead_to(entry->kind, &find->record) ||
        !kv_text_equals(&find->record.key, key->bytes, key->size)) {
        find->doubt_offset = entry->pointer.offset;
        return KVSTORE_OK;
    }
    find->is_found = true;
    find->pointer = (struct kv_log_pointer){.offset = entry->pointer.offset,
                                            .length = find->line.length};
    return KVSTORE_OK;
}

static void init_find(struct kv_index_find *find)
{
    find->is_found = false;
    find->damage_offset = KV_NO_OFFSET;
    find->doubts_damage = false;
    find->is_unknown = false;
    find->doubt_offset = KV_NO_OFFSET;
    find->record.owned = NULL;
    find->line.allocated = NULL;
}

/* True if the log has records of a newer version: one of a batch that is not
 * whole is damage. */
static bool has_newer(const struct kv_table *table)
{
    return kv_table_peek_totals(table).counts.unknown_records > 0;
}

/* Finds the newest line that names the key and cannot be served. Nearly always
 * there is none. */
static kvstore_status find_told_damage(const struct kv_table *table,
                                       const struct kv_log *log,
                                       const struct kv_index_key *key,
                                       struct kv_index_find *find)
{
    if (atomic_load_explicit(&table->header->has_damage,
                             memory_order_acquire) == 0) {
        return KVSTORE_OK;
    }
    struct kv_table_slot slot = kv_table_get(table, key->hash, true);
    if (slot.tag == 0) {
        return KVSTORE_OK;
    }
    struct kv_table_entry entry = kv_table_entry_of(slot);
    kvstore_status status = visit_entry(table, log, key, &entry, find);
    find->doubts_damage = find->doubt_offset != KV_NO_OFFSET;
    if (status == KVSTORE_OK && find->is_found) {
        find->is_found = false;
        find->damage_offset = find->pointer.offset;
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
    init_find(find_out);
    kvstore_status status = find_told_damage(table, log, &plain, find_out);
    struct kv_table_slot slot = kv_table_get(table, plain.hash, false);
    if (status == KVSTORE_OK && slot.tag != 0) {
        struct kv_table_entry entry = kv_table_entry_of(slot);
        status = visit_entry(table, log, &plain, &entry, find_out);
    }
    if (status != KVSTORE_OK) {
        kv_index_find_release(find_out);
    }
    return status;
}

/* The record that a slot leads to, in memory: without its newline, and not if
 * no line begins there. NULL: it must be read. */
static const char *peek_record(const struct kv_table *table,
                               const struct kv_log *log,
                               struct kv_table_entry entry)
{
    uint64_t offset = entry.pointer.offset;
    uint64_t length = entry.pointer.length;
    uint64_t end =
        atomic_load_explicit(&table->header->end, memory_order_acquire);
    if (log->map == NULL || entry.kind != KV_TABLE_SET ||
        kv_table_is_long(&entry) || offset == 0 || length == 0 ||
        offset + length > end) {
        return NULL;
    }
    const char *bytes =
        kv_log_map_get(log->map, &log->file, offset - 1, (size_t)length);
    return bytes != NULL && *bytes == '\n' ? bytes + 1 : NULL;
}

/* The record is of a batch, perhaps, which must be there as a whole. */
KV_RARE static enum kv_index_peek peek_batch(const struct kv_table *table,
                                             struct kv_table_entry entry,
                                             const char *line,
                                             const void *key,
                                             size_t key_size,
                                             struct kv_text *value_out)
{
    uint32_t batch = 0;
    return kv_record_match_batch_set(line,
                                     (size_t)entry.pointer.length - 1,
                                     key,
                                     key_size,
                                     value_out,
                                     &batch) &&
                   (batch == 1 ||
                    entry.pointer.offset < kv_table_applied(table))
               ? KV_INDEX_PEEK_VALUE
               : KV_INDEX_PEEK_UNSURE;
}

KV_FLATTENED
enum kv_index_peek kv_index_peek(const struct kv_index *index,
                                 const struct kv_log *log,
                                 const void *key,
                                 size_t key_size,
                                 struct kv_text *value_out)
{
    const struct kv_table *table = &index->table;
    if (!kv_io_takes_short_ways() ||
        atomic_load_explicit(&table->header->has_damage,
                             memory_order_acquire) != 0) {
        return KV_INDEX_PEEK_UNSURE;
    }
    struct kv_table_slot slot =
        kv_table_get(table, kv_table_hash(table, key, key_size), false);
    if (slot.tag == 0) {
        return KV_INDEX_PEEK_ABSENT;
    }
    struct kv_table_entry entry = kv_table_entry_of(slot);
    const char *line = peek_record(table, log, entry);
    if (line == NULL) {
        return KV_INDEX_PEEK_UNSURE;
    }
    return kv_record_match_set(
               line, (size_t)entry.pointer.length - 1, key, key_size, value_out)
               ? KV_INDEX_PEEK_VALUE
               : peek_batch(table, entry, line, key, key_size, value_out);
}

kvstore_status kv_index_go_on(const struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_index_start *start,
                              struct kv_index_find *find_out)
{
    const struct kv_table *table = &index->table;
    init_find(find_out);
    kvstore_status status = find_told_damage(table, log, &start->key, find_out);
    if (status == KVSTORE_OK && start->has_entry) {
        status = visit_entry(table, log, &start->key, &start->entry, find_out);
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

uint64_t kv_index_line_sum(const char *bytes, size_t size)
{
    uint64_t digits = 0;
    const char *end = bytes + size;
    return kv_record_get_sum_digits(bytes, end, &digits) &&
                   kv_record_has_fitting_sum(bytes, end)
               ? digits
               : XXH3_64bits(bytes, size);
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
                   kv_index_line_sum(line.bytes, line.size) == totals->last_sum;
    kv_log_line_release(&line);
    return KVSTORE_OK;
}
