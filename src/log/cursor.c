/* SPDX-License-Identifier: MIT */

/* Visits the lines of a log in order, through a window of it.
 *
 * Invariants:
 * 1. What is in memory is bounded by KV_LOG_HELD_SIZE and by the longest line
 *    that may be a record. A longer line is measured first, in pieces.
 * 2. The next newline is searched for once, and its place remembered: it serves
 *    all lines that NULs cut out of the bytes before it.
 * 3. A hole is skipped without being read once a whole piece of NULs has been
 *    seen. */

#include "log/cursor.h"

#include "log/measure.h"
#include "os/bounds.h"
#include "os/file.h"
#include "os/system.h"

#include <assert.h>
#include <string.h>

/* How much measuring reads at once. */
#ifndef KV_LOG_PIECE_SIZE
#define KV_LOG_PIECE_SIZE ((size_t)64 << 10)
#endif

static_assert(KV_LOG_HEAD_SIZE <= KV_LOG_HELD_SIZE, "the window has the head");

/* --- The window --- */

kvstore_status kv_log_cursor_init(struct kv_log_cursor *cursor,
                                  const struct kv_log *log,
                                  uint64_t offset,
                                  uint64_t end,
                                  size_t window_size)
{
    assert(offset <= end && window_size > 0);
    uint64_t left = end - offset;
    size_t capacity = left < window_size ? (size_t)left + 1 : window_size;
    *cursor = (struct kv_log_cursor){.log = log,
                                     .offset = offset,
                                     .end = end,
                                     .window_capacity = capacity,
                                     .window_offset = offset,
                                     .searched = offset};
    cursor->allocated = kv_io_allocate(capacity);
    cursor->window = cursor->allocated;
    return cursor->allocated == NULL ? KVSTORE_NO_MEMORY : KVSTORE_OK;
}

kvstore_status kv_log_cursor_fork(const struct kv_log_cursor *other,
                                  uint64_t offset,
                                  size_t window_size,
                                  struct kv_log_cursor *cursor)
{
    if (offset < other->window_offset ||
        offset >= other->window_offset + other->window_size) {
        return kv_log_cursor_init(
            cursor, other->log, offset, other->end, window_size);
    }
    *cursor = *other;
    cursor->allocated = NULL;
    cursor->window_capacity = window_size;
    cursor->long_line = NULL;
    cursor->offset = offset; /* At or past where searching began. */
    return KVSTORE_OK;
}

void kv_log_cursor_drop_long_line(struct kv_log_cursor *cursor)
{
    if (cursor->long_line != NULL) {
        kv_io_free(cursor->long_line);
        cursor->long_line = NULL;
    }
}

void kv_log_cursor_release(struct kv_log_cursor *cursor)
{
    kv_log_cursor_drop_long_line(cursor);
    kv_io_free(cursor->allocated);
    cursor->allocated = NULL;
    cursor->window = NULL;
}

/* Bytes of the window at the cursor and past it. */
static size_t bytes_ahead(const struct kv_log_cursor *cursor)
{
    return cursor->window_size -
           (size_t)(cursor->offset - cursor->window_offset);
}

/* Moves the bytes ahead to the front of a window of the cursor's own that is
 * large enough to take more. */
static kvstore_status slide_window(struct kv_log_cursor *cursor)
{
    size_t ahead = bytes_ahead(cursor);
    const char *rest = cursor->window + cursor->window_size - ahead;
    size_t capacity = cursor->window_capacity;
    while (ahead > capacity / 2) {
        capacity *= 2;
    }
    if (cursor->allocated != NULL && capacity == cursor->window_capacity) {
        memmove(cursor->allocated, rest, ahead);
    } else {
        char *larger = kv_io_allocate(capacity);
        if (larger == NULL) {
            return KVSTORE_NO_MEMORY;
        }
        memcpy(larger, rest, ahead);
        kv_io_free(cursor->allocated);
        cursor->allocated = larger;
        cursor->window = larger;
        cursor->window_capacity = capacity;
    }
    cursor->window_offset = cursor->offset;
    cursor->window_size = ahead;
    return KVSTORE_OK;
}

/* Reads bytes before cursor->end, which moves to where the file ends if that
 * is before it. */
static kvstore_status read_bytes(struct kv_log_cursor *cursor,
                                 uint64_t from,
                                 char *bytes,
                                 size_t room,
                                 size_t *part_out)
{
    uint64_t left = cursor->end - from;
    size_t wanted = left < room ? (size_t)left : room;
    kvstore_status status =
        kv_io_read(&cursor->log->file, from, bytes, wanted, part_out);
    if (*part_out < wanted) {
        cursor->end = from + *part_out;
    }
    return status;
}

static kvstore_status read_on(struct kv_log_cursor *cursor)
{
    kvstore_status status = slide_window(cursor);
    if (status != KVSTORE_OK) {
        return status;
    }
    size_t part = 0;
    status = read_bytes(cursor,
                        cursor->window_offset + cursor->window_size,
                        cursor->allocated + cursor->window_size,
                        cursor->window_capacity - cursor->window_size,
                        &part);
    cursor->window_size += part;
    return status;
}

/* --- Lines in the window --- */

static void view_line(struct kv_log_cursor *cursor,
                      const char *bytes,
                      size_t length,
                      struct kv_log_view *view_out)
{
    bool is_terminated = bytes[length - 1] == '\n';
    *view_out = (struct kv_log_view){
        .pointer = {.offset = cursor->offset, .length = length},
        .bytes = bytes,
        .size = length - (is_terminated ? 1 : 0),
        .is_terminated = is_terminated};
    cursor->offset += length;
}

/* Describes a line that ends at a place, and of which only the head is in
 * memory. */
static void view_head(struct kv_log_cursor *cursor,
                      uint64_t end,
                      bool is_terminated,
                      struct kv_log_view *view_out)
{
    size_t ahead = bytes_ahead(cursor);
    *view_out = (struct kv_log_view){
        .pointer = {.offset = cursor->offset, .length = end - cursor->offset},
        .bytes = cursor->window + cursor->window_size - ahead,
        .size = ahead < KV_LOG_HEAD_SIZE ? ahead : KV_LOG_HEAD_SIZE,
        .is_cut = true,
        .is_terminated = is_terminated};
}

/* Moves on to a place that may be past the window; its bytes stay in memory. */
static void move_cursor(struct kv_log_cursor *cursor, uint64_t offset)
{
    cursor->offset = offset;
    if (offset > cursor->window_offset + cursor->window_size) {
        cursor->window_offset = offset;
        cursor->window_size = 0;
    }
}

void kv_log_cursor_skip(struct kv_log_cursor *cursor, size_t size)
{
    assert(size <= bytes_ahead(cursor));
    kv_log_cursor_drop_long_line(cursor);
    cursor->offset += size;
}

/* Searches the bytes in the window for the next newline, unless its place is
 * known. Returns how many of them are at or before it. */
static size_t find_newline(struct kv_log_cursor *cursor,
                           const char *bytes,
                           size_t ahead)
{
    if (cursor->searched < cursor->offset) {
        cursor->searched = cursor->offset;
        cursor->is_newline_at = false;
    }
    uint64_t known = cursor->searched - cursor->offset;
    if (!cursor->is_newline_at && known < ahead) {
        size_t from = (size_t)known;
        const char *newline = memchr(bytes + from, '\n', ahead - from);
        cursor->is_newline_at = newline != NULL;
        known = newline != NULL ? (uint64_t)(newline - bytes) : ahead;
        cursor->searched = cursor->offset + known;
    }
    return known < ahead ? (size_t)known + 1 : ahead;
}

/* Returns how many of the bytes in the window belong to the line that begins
 * with them; 0 if its end is not among them. A run of NULs is a line of its
 * own, and includes the newline after it; a line with NULs in it ends with the
 * NUL before a brace, if the line has its newline. */
static size_t line_length(struct kv_log_cursor *cursor,
                          const char *bytes,
                          size_t ahead)
{
    if (bytes[0] == '\0') {
        size_t count = kv_measure_count_nuls(bytes, ahead);
        return count == ahead ? 0 : bytes[count] == '\n' ? count + 1 : count;
    }
    size_t within = find_newline(cursor, bytes, ahead);
    if (!cursor->is_newline_at) {
        return 0;
    }
    size_t length = kv_measure_find_hidden_start(bytes, within);
    return length < within || bytes[within - 1] == '\n' ? length : 0;
}

/* --- Lines that the window does not hold --- */

/* Skips a hole that follows a piece of NULs. */
static void skip_hole(const struct kv_log_cursor *cursor, uint64_t *offset)
{
    uint64_t data = *offset < cursor->end
                        ? kv_io_next_data(&cursor->log->file, *offset)
                        : *offset;
    *offset = data < cursor->end ? data : cursor->end;
}

/* Measures the line under the cursor, whose first bytes are in the window: up
 * to its newline, or, where that is known, to a hidden start before it. */
static kvstore_status measure_line(struct kv_log_cursor *cursor,
                                   char *piece,
                                   struct kv_measure *measure)
{
    size_t part = bytes_ahead(cursor);
    const char *bytes = cursor->window + cursor->window_size - part;
    kvstore_status status = KVSTORE_OK;
    *measure = (struct kv_measure){.offset = cursor->offset, .last = bytes[0]};
    while (status == KVSTORE_OK && part > 0) {
        kv_measure_bytes(measure, bytes, part);
        if (measure->has_newline ||
            (cursor->is_newline_at && measure->hidden_start != 0)) {
            break;
        }
        if (kv_measure_count_nuls(bytes, part) == part) {
            skip_hole(cursor, &measure->offset);
        }
        bytes = piece;
        status = read_bytes(
            cursor, measure->offset, piece, KV_LOG_PIECE_SIZE, &part);
    }
    if (!cursor->is_newline_at) {
        cursor->searched = measure->offset;
        cursor->is_newline_at = measure->has_newline;
    }
    return status;
}

/* Reads a line that may be a record, up to a place, into memory of its own. */
static kvstore_status read_long_line(struct kv_log_cursor *cursor,
                                     uint64_t end,
                                     struct kv_log_view *view_out)
{
    size_t length = (size_t)(end - cursor->offset);
    size_t ahead = bytes_ahead(cursor);
    size_t part = 0;
    cursor->long_line = kv_io_allocate(length);
    if (cursor->long_line == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    size_t held = ahead < length ? ahead : length;
    memcpy(
        cursor->long_line, cursor->window + cursor->window_size - ahead, held);
    kvstore_status status = read_bytes(cursor,
                                       cursor->offset + held,
                                       cursor->long_line + held,
                                       length - held,
                                       &part);
    if (status == KVSTORE_OK) {
        view_line(cursor, cursor->long_line, held + part, view_out);
        move_cursor(cursor, cursor->offset);
    }
    return status;
}

static kvstore_status next_long_line(struct kv_log_cursor *cursor,
                                     char *piece,
                                     struct kv_log_view *view_out)
{
    struct kv_measure measure;
    kvstore_status status = measure_line(cursor, piece, &measure);
    if (status != KVSTORE_OK) {
        return status;
    }
    bool is_hidden = measure.hidden_start != 0 && cursor->is_newline_at;
    bool is_terminated = !is_hidden && cursor->is_newline_at;
    uint64_t end = is_hidden       ? measure.hidden_start
                   : is_terminated ? cursor->searched + 1
                                   : cursor->end;
    if (end <= cursor->window_offset + cursor->window_size) {
        size_t ahead = 0;
        const char *bytes = kv_log_cursor_peek(cursor, &ahead);
        view_line(cursor, bytes, (size_t)(end - cursor->offset), view_out);
        return KVSTORE_OK;
    }
    uint64_t size = end - cursor->offset - (is_terminated ? 1 : 0);
    bool is_within = size < KV_LINE_SIZE_MAX;
    if (is_within && !measure.has_nul && measure.first_dark == '{' &&
        measure.last_dark == '}') {
        return read_long_line(cursor, end, view_out);
    }
    view_head(cursor, end, is_terminated, view_out);
    view_out->is_blank =
        is_within && !measure.has_nul && measure.first_dark == '\0';
    move_cursor(cursor, end);
    return KVSTORE_OK;
}

/* Measures a run of NULs that fills the window. */
static kvstore_status next_long_run(struct kv_log_cursor *cursor,
                                    char *piece,
                                    struct kv_log_view *view_out)
{
    uint64_t end = cursor->window_offset + cursor->window_size;
    size_t part = 0;
    size_t nuls = 0;
    kvstore_status status = KVSTORE_OK;
    do {
        skip_hole(cursor, &end);
        status = read_bytes(cursor, end, piece, KV_LOG_PIECE_SIZE, &part);
        nuls = kv_measure_count_nuls(piece, part);
        end += nuls;
    } while (status == KVSTORE_OK && part > 0 && nuls == part);
    if (status == KVSTORE_OK) {
        bool is_terminated = nuls < part && piece[nuls] == '\n';
        end += is_terminated ? 1 : 0;
        view_head(cursor, end, is_terminated, view_out);
        move_cursor(cursor, end);
    }
    return status;
}

static kvstore_status next_unheld(struct kv_log_cursor *cursor,
                                  bool is_run,
                                  struct kv_log_view *view_out)
{
    char *piece = kv_io_allocate(KV_LOG_PIECE_SIZE);
    if (piece == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kvstore_status status = is_run ? next_long_run(cursor, piece, view_out)
                                   : next_long_line(cursor, piece, view_out);
    kv_io_free(piece);
    return status;
}

kvstore_status kv_log_cursor_next(struct kv_log_cursor *cursor,
                                  struct kv_log_view *view_out)
{
    kv_log_cursor_drop_long_line(cursor);
    for (;;) {
        size_t ahead = 0;
        const char *bytes = kv_log_cursor_peek(cursor, &ahead);
        size_t length = ahead > 0 ? line_length(cursor, bytes, ahead) : 0;
        bool at_end = cursor->offset + ahead >= cursor->end;
        if (length == 0 && at_end) {
            length = ahead;
        }
        if (length > 0) {
            view_line(cursor, bytes, length, view_out);
            return KVSTORE_OK;
        }
        if (at_end) {
            return KVSTORE_NOT_FOUND;
        }
        if (ahead > KV_LOG_HELD_SIZE) {
            return next_unheld(cursor, bytes[0] == '\0', view_out);
        }
        kvstore_status status = read_on(cursor);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
}
