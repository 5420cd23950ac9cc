/* SPDX-License-Identifier: MIT */

/* The fold over the lines of a log, and its three judgements.
 *
 * A line is an *anchor* if it was written whole for certain: a sound record, or
 * a closed line, one that begins with {, ends in } and its own newline, white
 * space apart, holds no NUL, and does not look as if a power cut had left it
 * so.
 *
 * 1. A line that cannot be decoded is damage if it or a later line is an
 *    anchor; else it begins the torn tail, and nothing after it is visited.
 * 2. The records of a batch count down to 1 on neighbouring lines. Records
 *    directly after a damaged line are not whole: that line may have been one
 *    of them. They are damage like it: by judgement 1 there is an anchor in
 *    that damage or past it, and none of these records is one.
 * 3. Any other batch that is not whole is damage if an anchor follows it; else
 *    it begins the torn tail.
 *
 * Each lookahead goes no further than the anchor it finds, and remembers it, so
 * a fold reads no line more than three times. */

#include "log/fold.h"

#include "log/cursor.h"
#include "log/next.h"
#include "log/padding.h"
#include "os/error.h"
#include "os/file.h"
#include "record/decode.h"

#include <assert.h>
#include <string.h>

/* Large enough to make system calls rare; a lookahead is short. Tests set
 * smaller sizes. */
#ifndef KV_FOLD_WINDOW_SIZE
#define KV_FOLD_WINDOW_SIZE ((size_t)1 << 20)
#endif
/* Small enough for the processor's nearer cache. */
#define KV_FOLD_SKIP_WINDOW_SIZE (KV_FOLD_WINDOW_SIZE / 4)
#define AHEAD_WINDOW_SIZE ((size_t)16 << 10)

/* How many bytes are folded, in a moment, between two reports of progress. */
#define PROGRESS_SIZE ((uint64_t)8 << 20)

struct fold {
    const struct kv_log *log;
    const struct kv_log_cursor *cursor; /* Past the line that is judged. */
    uint64_t end;
    bool may_be_padded;
    kv_fold_visit visit;
    void *context;
    struct kv_fold_result result;
    uint64_t anchor;  /* There is one at this place or past it. */
    bool has_skipped; /* Lines were skipped after the last one visited; */
    uint64_t skipped; /* the last of these is here. */
};

static bool is_blank_byte(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

/* Of a write that a power cut interrupts, a disk may keep any of the sectors,
 * which begin at multiples of this in the file. */
#define SECTOR_SIZE 512u

/* True if a sector of a line at an offset is all padding, or if the line's
 * first byte that is not white space begins a sector after some that is. A line
 * that was written over padding looks like this when not all of it reached the
 * disk. */
static bool may_lack_sector(const char *bytes,
                            size_t size,
                            uint64_t offset,
                            const char *first)
{
    uint64_t end = offset + size;
    uint64_t at = offset + (uint64_t)(first - bytes);
    bool is_found = at > offset && at % SECTOR_SIZE == 0;
    at += SECTOR_SIZE - 1;
    for (at -= at % SECTOR_SIZE; !is_found && at + SECTOR_SIZE <= end;
         at += SECTOR_SIZE) {
        const char *sector = bytes + (at - offset);
        is_found = sector[0] == KV_LOG_PADDING_BYTE &&
                   memcmp(sector, sector + 1, SECTOR_SIZE - 1) == 0;
    }
    return is_found;
}

/* True if the line begins at a sector, so that the one before may be
 * missing. */
static bool may_follow_lost_sector(uint64_t offset)
{
    return offset != 0 && offset % SECTOR_SIZE == 0;
}

/* True if its last two bytes show that it is missing: they are NULs, or what
 * padding ended in. So the line's first bytes may be missing, too. */
static bool follows_lost_sector(uint64_t offset, const char before[2])
{
    bool is_padding = offset % KV_PADDING_UNIT == 0 &&
                      before[0] == KV_LOG_PADDING_BYTE && before[1] == '\n';
    return may_follow_lost_sector(offset) && (before[1] == '\0' || is_padding);
}

/* True if what is left of padding follows a line, which may have been cut
 * short. */
static bool ends_in_padding(const char *bytes, size_t size, uint64_t offset)
{
    return (offset + size + 1) % KV_PADDING_UNIT == 0 && size > 0 &&
           bytes[size - 1] == KV_LOG_PADDING_BYTE;
}

bool kv_fold_is_closed_at(const char *bytes,
                          size_t size,
                          uint64_t offset,
                          const char before[2])
{
    assert(bytes != NULL && before != NULL);
    const char *first = bytes;
    const char *end = bytes + size;
    while (first < end && is_blank_byte(*first)) {
        first++;
    }
    while (first < end && is_blank_byte(end[-1])) {
        end--;
    }
    return first < end && *first == '{' && end[-1] == '}' &&
           memchr(first, '\0', (size_t)(end - first)) == NULL &&
           !ends_in_padding(bytes, size, offset) &&
           !may_lack_sector(bytes, size, offset, first) &&
           !follows_lost_sector(offset, before);
}

/* True if a line looks completely written. */
static bool is_closed(const struct kv_log *log, const struct kv_log_view *view)
{
    static const char newlines[2] = {'\n', '\n'};
    uint64_t offset = view->pointer.offset;
    if (!view->is_terminated || view->is_cut ||
        !kv_fold_is_closed_at(view->bytes, view->size, offset, newlines)) {
        return false;
    }
    if (!may_follow_lost_sector(offset)) {
        return true;
    }
    char before[2] = {'\n', '\n'};
    size_t count = 0;
    kv_error_hold();
    kvstore_status status = kv_io_read(
        &log->file, offset - sizeof before, before, sizeof before, &count);
    kv_error_release();
    if (status != KVSTORE_OK || count < sizeof before) {
        return true; /* If it is not known, nothing is cut off. */
    }
    return !follows_lost_sector(offset, before);
}

/* --- Looking ahead for an anchor --- */

/* True if it is a record that counts in a batch, of any variant. */
static bool counts_in_batch(const struct kv_record *record)
{
    return record->batch != 0 &&
           (kv_record_is_record(record) || record->type == KV_RECORD_UNKNOWN);
}

/* What a lookahead has met. A batch that directly follows damage is not whole,
 * and as suspect as the damage before it: that line may have been its first. */
struct ahead {
    bool follows_damage; /* The last line cannot be decoded. */
    bool is_suspect;     /* The batch being counted follows damage. */
    uint32_t expected; /* Its next record has this number; 0: there is none. */
};

/* True if the record is the last one of a whole batch. */
static bool ends_batch(const struct kv_record *record, struct ahead *ahead)
{
    if (record->batch != ahead->expected) {
        ahead->is_suspect = ahead->follows_damage;
    }
    ahead->expected = record->batch - 1;
    ahead->follows_damage = false;
    return record->batch == 1 && !ahead->is_suspect;
}

/* Judges one line of the lookahead. A record of a batch that is not whole is no
 * anchor: it may be cut off together with what it would show to be damage. */
static bool is_anchor(const struct kv_log *log,
                      const struct kv_log_view *view,
                      const struct kv_record *record,
                      struct ahead *ahead)
{
    if (counts_in_batch(record)) {
        return ends_batch(record, ahead);
    }
    ahead->expected = 0;
    ahead->follows_damage = record->type == KV_RECORD_DAMAGED;
    return record->type == KV_RECORD_DAMAGED ? is_closed(log, view)
                                             : record->type != KV_RECORD_BLANK;
}

/* Begins a lookahead from an offset, at the line that is judged or past it. */
static kvstore_status begin_look_ahead(const struct fold *fold,
                                       uint64_t offset,
                                       struct kv_log_cursor *cursor)
{
    return kv_log_cursor_fork(fold->cursor, offset, AHEAD_WINDOW_SIZE, cursor);
}

/* Finds out whether there is an anchor at or past an offset. */
static kvstore_status find_anchor(struct fold *fold,
                                  uint64_t offset,
                                  bool follows_damage,
                                  bool *found_out)
{
    *found_out = fold->anchor != 0 && offset <= fold->anchor;
    if (*found_out) {
        return KVSTORE_OK;
    }
    struct kv_log_cursor cursor;
    struct ahead ahead = {.follows_damage = follows_damage};
    kvstore_status status = begin_look_ahead(fold, offset, &cursor);
    while (status == KVSTORE_OK && !*found_out) {
        struct kv_log_view view;
        struct kv_record record;
        status = kv_log_next_record(&cursor, &view, &record);
        if (status == KVSTORE_OK) {
            *found_out = is_anchor(fold->log, &view, &record, &ahead);
            kv_record_release(&record);
        }
        if (*found_out) {
            fold->anchor = view.pointer.offset;
        }
    }
    kv_log_cursor_release(&cursor);
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

/* --- Batches --- */

/* Measures how far the batch that begins at an offset reaches, and whether it
 * counts down to its end. */
static kvstore_status measure_batch(const struct fold *fold,
                                    uint64_t offset,
                                    uint64_t *end_out,
                                    bool *is_whole_out)
{
    *end_out = offset;
    *is_whole_out = false;
    struct kv_log_cursor cursor;
    kvstore_status status = begin_look_ahead(fold, offset, &cursor);
    uint32_t expected = 0;
    bool goes_on = true;
    while (status == KVSTORE_OK && goes_on) {
        struct kv_log_view view;
        struct kv_record record;
        status = kv_log_next_record(&cursor, &view, &record);
        if (status != KVSTORE_OK) {
            break;
        }
        goes_on = counts_in_batch(&record) &&
                  (expected == 0 || record.batch == expected);
        if (goes_on) {
            *end_out = view.pointer.offset + view.pointer.length;
            *is_whole_out = record.batch == 1;
            expected = record.batch - 1;
            goes_on = !*is_whole_out;
        }
        kv_record_release(&record);
    }
    kv_log_cursor_release(&cursor);
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

/* Judges the line before a record of a batch, if that line was skipped. */
static kvstore_status judge_skipped(struct fold *fold)
{
    struct kv_log_cursor cursor;
    struct kv_log_view view;
    struct kv_record record;
    kvstore_status status = begin_look_ahead(fold, fold->skipped, &cursor);
    if (status == KVSTORE_OK) {
        status = kv_log_next_record(&cursor, &view, &record);
    }
    if (status == KVSTORE_OK) {
        fold->has_skipped = false;
        fold->result.follows =
            record.type == KV_RECORD_DAMAGED ? KV_FOLD_FOLLOWS_DAMAGE : 0;
        fold->result.is_unsure = counts_in_batch(&record);
        kv_record_release(&record);
    }
    kv_log_cursor_release(&cursor);
    return status;
}

/* Judges the batch that begins at an offset with a number. If it follows
 * damage, or continues a batch that is not whole, and that was visited, there
 * is an anchor in what was visited, or past it. */
static kvstore_status judge_batch(struct fold *fold,
                                  uint64_t offset,
                                  uint32_t number)
{
    uint64_t end = offset;
    bool is_whole = false;
    kvstore_status status =
        fold->has_skipped ? judge_skipped(fold) : KVSTORE_OK;
    if (status == KVSTORE_OK && !fold->result.is_unsure) {
        status = measure_batch(fold, offset, &end, &is_whole);
    }
    if (status != KVSTORE_OK || fold->result.is_unsure) {
        return status;
    }
    bool is_anchored = fold->result.follows == KV_FOLD_FOLLOWS_DAMAGE ||
                       fold->result.follows == number;
    if (is_whole && !is_anchored) {
        fold->result.judged.whole_until = end;
        return KVSTORE_OK;
    }
    fold->result.judged.broken_until = end;
    if (!is_anchored) {
        status = find_anchor(fold, end, false, &is_anchored);
    }
    if (!is_anchored) {
        fold->result.is_torn = true;
        fold->result.batch_end = end;
    }
    return status;
}

/* --- Judging each line --- */

/* Judges what this line is. Sets fold->result.is_torn where the torn tail
 * begins, and is_unsure where no verdict is possible. */
static kvstore_status judge(struct fold *fold,
                            const struct kv_log_view *view,
                            const struct kv_record *record,
                            struct kv_fold_item *item)
{
    uint64_t offset = view->pointer.offset;
    item->type = record->type;
    if (record->type == KV_RECORD_DAMAGED) {
        item->is_closed = is_closed(fold->log, view);
        bool is_anchored = item->is_closed;
        kvstore_status status = KVSTORE_OK;
        if (!is_anchored) {
            status = find_anchor(
                fold, offset + view->pointer.length, true, &is_anchored);
        }
        fold->result.is_torn = !is_anchored;
        return status;
    }
    if (!counts_in_batch(record)) {
        return KVSTORE_OK;
    }
    if (offset >= fold->result.judged.whole_until &&
        offset >= fold->result.judged.broken_until) {
        kvstore_status status = judge_batch(fold, offset, record->batch);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    if (offset < fold->result.judged.broken_until) {
        item->type = KV_RECORD_DAMAGED;
    }
    return KVSTORE_OK;
}

uint64_t kv_fold_follows(const struct kv_fold_item *item)
{
    if (item->record->type == KV_RECORD_DAMAGED) {
        return KV_FOLD_FOLLOWS_DAMAGE;
    }
    return item->type == KV_RECORD_DAMAGED ? item->record->batch - 1 : 0;
}

/* Judges one line and, unless the torn tail begins with it, has it visited. */
static kvstore_status fold_line(struct fold *fold,
                                const struct kv_log_view *view,
                                const struct kv_record *record)
{
    struct kv_fold_item item = {.pointer = view->pointer,
                                .bytes = view->is_cut ? NULL : view->bytes,
                                .size = view->is_cut ? 0 : view->size,
                                .record = record};
    kvstore_status status = judge(fold, view, record, &item);
    if (status != KVSTORE_OK || fold->result.is_torn ||
        fold->result.is_unsure) {
        return status;
    }
    bool is_last = view->pointer.offset + view->pointer.length == fold->end;
    if (is_last && fold->may_be_padded && !view->is_cut &&
        kv_log_padding_is_padding(
            view->bytes, (size_t)view->pointer.length, view->pointer.offset)) {
        return KVSTORE_OK;
    }
    item.is_open = !is_last && !view->is_terminated;
    if (is_last && !view->is_terminated) {
        item.pointer.length++;
        fold->result.is_unterminated = true;
    }
    status = fold->visit(fold->context, &item);
    if (status == KVSTORE_OK) {
        fold->result.offset = item.pointer.offset + item.pointer.length;
        fold->result.follows = kv_fold_follows(&item);
        fold->has_skipped = false;
    }
    return status;
}

/* Skips the lines in memory that need no verdict. */
static void skip_lines(struct fold *fold,
                       const struct kv_log_skip *skip,
                       struct kv_log_cursor *cursor)
{
    size_t count = 0;
    size_t last = 0;
    const char *bytes = kv_log_cursor_peek(cursor, &count);
    size_t size = kv_log_skip_lines(skip, bytes, count, &last);
    if (size > 0) {
        fold->has_skipped = true;
        fold->skipped = cursor->offset + last;
        kv_log_cursor_skip(cursor, size);
        fold->result.offset = cursor->offset;
        fold->result.follows = 0;
    }
}

static uint64_t tell_progress(const struct kv_fold_range *range,
                              uint64_t offset)
{
    if (range->progress != NULL && range->progress->tell != NULL) {
        range->progress->tell(range->progress->context,
                              offset - range->offset,
                              range->end - range->offset);
    }
    return offset + PROGRESS_SIZE;
}

static bool goes_on(const struct fold *fold, const struct kv_fold_range *range)
{
    return !fold->result.is_torn && !fold->result.is_unsure &&
           (range->is_over == NULL || !*range->is_over);
}

kvstore_status kv_fold(const struct kv_log *log,
                       struct kv_fold_range range,
                       kv_fold_visit visit,
                       void *context,
                       struct kv_fold_result *result_out)
{
    struct fold fold = {.log = log,
                        .end = range.end,
                        .may_be_padded = range.may_be_padded,
                        .visit = visit,
                        .context = context,
                        .result = {.offset = range.offset,
                                   .follows = range.follows,
                                   .judged = range.judged}};
    struct kv_log_cursor cursor;
    kvstore_status status = kv_log_cursor_init(
        &cursor,
        log,
        range.offset,
        range.end,
        range.skip == NULL ? KV_FOLD_WINDOW_SIZE : KV_FOLD_SKIP_WINDOW_SIZE);
    fold.cursor = &cursor;
    uint64_t next_tell = range.offset + PROGRESS_SIZE;
    while (status == KVSTORE_OK && goes_on(&fold, &range)) {
        struct kv_log_view view;
        struct kv_record record;
        if (range.skip != NULL) {
            skip_lines(&fold, range.skip, &cursor);
        }
        status = kv_log_next_record(&cursor, &view, &record);
        fold.end = cursor.end;
        if (cursor.offset >= next_tell) {
            next_tell = tell_progress(&range, cursor.offset);
        }
        if (status == KVSTORE_OK) {
            status = fold_line(&fold, &view, &record);
            kv_record_release(&record);
        }
    }
    kv_log_cursor_release(&cursor);
    *result_out = fold.result;
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}
