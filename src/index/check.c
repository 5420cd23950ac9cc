/* SPDX-License-Identifier: MIT */

/* Which records some slot leads to is a bit for each few bytes of the log, taken
 * from all slots at once: so no record has to be looked up for that. The bits
 * cover a window of the log: when it has been passed, it is moved on, and all
 * slots are read through again. It is so large that this is rare. */

#include "index/check.h"

#include "log/line.h"
#include "os/system.h"
#include "record/decode.h"

#include <stddef.h>
#include <string.h>

#define WORD_BITS 64u

/* A window may take at least this much memory; and more, as long as it is small
 * compared to the index. */
#define SIZE_MIN ((uint64_t)1 << 20)
#define INDEX_SHARE 8u

struct kv_index_check {
    const struct kv_index *index;
    const struct kv_log *log;
    uint64_t log_end;
    uint64_t begin; /* The window covers the log from here */
    uint64_t end;   /* to here. */
    uint64_t sum;   /* Over the slots that lead to a place before the end. */
    uint64_t met;   /* Over the records. */
    uint64_t random[2]; /* In no file: so the sums cannot be forged. */
    size_t word_count;
    uint64_t words[];
};

/* Returns how many words of marks there are room for. */
static size_t count_words(const struct kv_index *index, uint64_t end)
{
    const uint64_t word_span = (uint64_t)WORD_BITS * KV_INDEX_MARK_SPAN;
    uint64_t most =
        kv_table_region_size(index->table.bucket_count) / INDEX_SHARE;
    most = (most > SIZE_MIN ? most : SIZE_MIN) / sizeof(uint64_t);
    uint64_t wanted = end / word_span + 1;
    return (size_t)(wanted < most ? wanted : most);
}

kvstore_status kv_index_check_create(const struct kv_index *index,
                                     const struct kv_log *log,
                                     uint64_t end,
                                     struct kv_index_check **check_out)
{
    size_t word_count = count_words(index, end);
    struct kv_index_check *check =
        kv_io_allocate(sizeof *check + word_count * sizeof(uint64_t));
    *check_out = NULL;
    if (check == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    *check = (struct kv_index_check){
        .index = index, .log = log, .log_end = end, .word_count = word_count};
    kvstore_status status = kv_io_random(check->random, sizeof check->random);
    if (status != KVSTORE_OK) {
        kv_io_free(check);
        return status;
    }
    *check_out = check;
    return KVSTORE_OK;
}

/* Sums a slot, and marks where it leads, as far as the window's move covers
 * that. */
static void mark_slot(struct kv_index_check *check,
                      struct kv_table_slot slot,
                      uint64_t summed)
{
    struct kv_table_entry entry = kv_table_entry_of(slot);
    uint64_t offset = entry.pointer.offset;
    uint64_t end = check->end < check->log_end ? check->end : check->log_end;
    if (slot.tag == 0 || entry.kind == KV_TABLE_DAMAGE || offset >= end) {
        return;
    }
    if (offset >= summed) {
        check->sum += kv_table_mix(slot, check->random);
    }
    if (offset >= check->begin) {
        uint64_t mark = (offset - check->begin) / KV_INDEX_MARK_SPAN;
        check->words[mark / WORD_BITS] |= UINT64_C(1) << mark % WORD_BITS;
    }
}

/* Moves the window to where it covers an offset. Slots that lead to what is
 * between the old place and the new one are summed, too: no record is there, so
 * the sums will differ. */
static void move_to(struct kv_index_check *check, uint64_t offset)
{
    const uint64_t span =
        (uint64_t)check->word_count * WORD_BITS * KV_INDEX_MARK_SPAN;
    const struct kv_table *table = &check->index->table;
    uint64_t summed = check->end;
    check->begin = offset - offset % KV_INDEX_MARK_SPAN;
    check->end = check->begin + span;
    memset(check->words, 0, check->word_count * sizeof(uint64_t));
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        mark_slot(check, kv_table_load(table, i), summed);
    }
}

bool kv_index_check_is_marked(struct kv_index_check *check, uint64_t offset)
{
    if (offset >= check->end) {
        move_to(check, offset);
    }
    uint64_t mark = (offset - check->begin) / KV_INDEX_MARK_SPAN;
    return (check->words[mark / WORD_BITS] >> mark % WORD_BITS & 1) != 0;
}

void kv_index_check_meet(struct kv_index_check *check,
                         struct kv_table_slot slot)
{
    check->met += kv_table_mix(slot, check->random);
}

/* Finds out whether a slot leads to a record of the same key as a line. */
static kvstore_status leads_to_key(const struct kv_index_check *check,
                                   struct kv_table_slot slot,
                                   const struct kv_record *record,
                                   bool *leads_on_out)
{
    struct kv_index_start start = {.has_entry = true,
                                   .entry = kv_table_entry_of(slot)};
    struct kv_index_find find;
    kvstore_status status =
        kv_index_get_key(&check->index->table, record, &start.key);
    if (status == KVSTORE_OK) {
        status = kv_index_go_on(check->index, check->log, &start, &find);
        kv_io_free(start.key.allocated);
    }
    if (status == KVSTORE_OK) {
        *leads_on_out = find.is_found;
        kv_index_find_release(&find);
    }
    return status;
}

kvstore_status kv_index_check_leads_on(const struct kv_index_check *check,
                                       struct kv_table_hash hash,
                                       uint64_t offset,
                                       bool *leads_on_out)
{
    struct kv_table_slot slot = kv_table_get(&check->index->table, hash, false);
    uint64_t to = kv_table_entry_of(slot).pointer.offset;
    bool leads_on = slot.tag != 0 && to > offset;
    *leads_on_out = leads_on && to < check->log_end;
    if (*leads_on_out || !leads_on) {
        return KVSTORE_OK;
    }
    struct kv_log_line line;
    struct kv_record record;
    kvstore_status status =
        kv_log_read_line(check->log, offset, check->log_end, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_record_decode(line.bytes, line.size, &record);
    if (status == KVSTORE_OK) {
        status = record.has_key
                     ? leads_to_key(check, slot, &record, leads_on_out)
                     : KVSTORE_OK;
        kv_record_release(&record);
    }
    kv_log_line_release(&line);
    return status;
}

bool kv_index_check_is_true(struct kv_index_check *check)
{
    if (check->end < check->log_end) {
        move_to(check, check->log_end - 1);
    }
    return check->sum == check->met;
}
