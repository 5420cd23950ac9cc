/* SPDX-License-Identifier: MIT */

/* The marks cover a window of the log: when it has been passed, it is moved on,
 * and all slots are read through again. It is so large that this is rare. */

#include "store/compaction_marks.h"

#include "os/system.h"

#include <stddef.h>
#include <string.h>

#define WORD_BITS 64u

/* A window may take at least this much memory; and more, as long as it is small
 * compared to the index. */
#define SIZE_MIN ((uint64_t)1 << 20)
#define INDEX_SHARE 8u

struct kv_compaction_marks {
    const struct kv_table *table;
    uint64_t log_size;
    uint64_t begin; /* The window covers the log from here */
    uint64_t end;   /* to here. */
    uint64_t sum;   /* Over the slots that lead to a place before the end. */
    size_t word_count;
    uint64_t words[];
};

struct kv_compaction_marks *kv_compaction_marks_create(
    const struct kv_table *table,
    uint64_t log_size)
{
    const uint64_t word_span = (uint64_t)WORD_BITS * KV_COMPACTION_MARK_SPAN;
    uint64_t most = kv_table_region_size(table->level) / INDEX_SHARE;
    most = (most > SIZE_MIN ? most : SIZE_MIN) / sizeof(uint64_t);
    uint64_t wanted = log_size / word_span + 1;
    size_t word_count = (size_t)(wanted < most ? wanted : most);
    struct kv_compaction_marks *marks =
        kv_io_allocate(sizeof *marks + word_count * sizeof(uint64_t));
    if (marks != NULL) {
        marks->table = table;
        marks->log_size = log_size;
        marks->begin = 0;
        marks->end = 0;
        marks->sum = 0;
        marks->word_count = word_count;
    }
    return marks;
}

/* Moves the window to where it covers an offset. Slots that lead to what is
 * between the old place and the new one are summed, too: no record is there, so
 * the sums will differ. */
static void move_to(struct kv_compaction_marks *marks, uint64_t offset)
{
    const uint64_t span =
        (uint64_t)marks->word_count * WORD_BITS * KV_COMPACTION_MARK_SPAN;
    uint64_t summed = marks->end;
    marks->begin = offset - offset % KV_COMPACTION_MARK_SPAN;
    marks->end = marks->begin + span;
    memset(marks->words, 0, marks->word_count * sizeof(uint64_t));
    uint64_t end = marks->end < marks->log_size ? marks->end : marks->log_size;
    struct kv_table_entry entry;
    for (uint64_t slot = 0; kv_table_next_entry(marks->table, &slot, &entry);
         slot++) {
        if (entry.is_flagged || entry.offset >= end) {
            continue;
        }
        if (entry.offset >= summed) {
            marks->sum += kv_table_mix_entry(&entry);
        }
        if (entry.offset >= marks->begin) {
            uint64_t mark =
                (entry.offset - marks->begin) / KV_COMPACTION_MARK_SPAN;
            marks->words[mark / WORD_BITS] |= UINT64_C(1) << mark % WORD_BITS;
        }
    }
}

uint64_t kv_compaction_marks_sum(struct kv_compaction_marks *marks)
{
    if (marks->end < marks->log_size) {
        move_to(marks, marks->log_size - 1);
    }
    return marks->sum;
}

bool kv_compaction_marks_have(struct kv_compaction_marks *marks,
                              uint64_t offset)
{
    if (offset >= marks->end) {
        move_to(marks, offset);
    }
    uint64_t mark = (offset - marks->begin) / KV_COMPACTION_MARK_SPAN;
    return (marks->words[mark / WORD_BITS] >> mark % WORD_BITS & 1) != 0;
}
