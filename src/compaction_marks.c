/* SPDX-License-Identifier: MIT */

/* The marks are a window of the log: where it has been passed, it is moved on,
 * and all slots are looked through again. It is so large that this is seldom. */

#include "compaction_marks.h"

#include "io.h"

#include <stddef.h>
#include <string.h>

#define WORD_BITS 64u

/* A window is worth this much memory at least; a larger one, as long as it is
 * small beside the index. */
#define SIZE_MIN ((uint64_t)1 << 20)
#define INDEX_SHARE 8u

struct kv_compaction_marks {
    const struct kv_index *index;
    uint64_t begin; /* The bytes of the log that the window covers, */
    uint64_t end;   /* to here. */
    size_t word_count;
    uint64_t words[];
};

struct kv_compaction_marks *kv_compaction_marks_create(
    const struct kv_index *index,
    uint64_t log_size)
{
    const uint64_t word_span = (uint64_t)WORD_BITS * KV_COMPACTION_MARK_SPAN;
    uint64_t most = kv_index_region_size(index->level) / INDEX_SHARE;
    most = (most > SIZE_MIN ? most : SIZE_MIN) / sizeof(uint64_t);
    uint64_t wanted = log_size / word_span + 1;
    size_t word_count = (size_t)(wanted < most ? wanted : most);
    struct kv_compaction_marks *marks =
        kv_io_allocate(sizeof *marks + word_count * sizeof(uint64_t));
    if (marks != NULL) {
        marks->index = index;
        marks->begin = 0;
        marks->end = 0;
        marks->word_count = word_count;
    }
    return marks;
}

/* Moves the window to where it covers an offset. */
static void move_to(struct kv_compaction_marks *marks, uint64_t offset)
{
    const uint64_t span =
        (uint64_t)marks->word_count * WORD_BITS * KV_COMPACTION_MARK_SPAN;
    marks->begin = offset - offset % KV_COMPACTION_MARK_SPAN;
    marks->end = marks->begin + span;
    memset(marks->words, 0, marks->word_count * sizeof(uint64_t));
    struct kv_index_entry entry;
    for (uint64_t slot = 0; kv_index_next_entry(marks->index, &slot, &entry);
         slot++) {
        uint64_t place = entry.offset - marks->begin; /* Or beyond all. */
        if (place < span && !entry.is_flagged) {
            uint64_t mark = place / KV_COMPACTION_MARK_SPAN;
            marks->words[mark / WORD_BITS] |= UINT64_C(1) << mark % WORD_BITS;
        }
    }
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
