/* SPDX-License-Identifier: MIT */

/* Visits the lines of a log in order, in memory that does not depend on how
 * long they are. Knows bytes and newlines, not JSON. */

#ifndef KV_LOG_CURSOR_H
#define KV_LOG_CURSOR_H

#include "kvstore.h"
#include "log/log.h"
#include "log/pointer.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line of at most this many bytes is held in the window. Of a longer line
 * that cannot be a record, only the head is in memory: enough for any key of
 * the canonical form, where a byte takes at most six. Tests set smaller
 * sizes. */
#ifndef KV_LOG_HELD_SIZE
#define KV_LOG_HELD_SIZE ((size_t)4 << 20)
#endif
#ifndef KV_LOG_HEAD_SIZE
#define KV_LOG_HEAD_SIZE ((size_t)512 << 10)
#endif

struct kv_log_cursor {
    const struct kv_log *log;
    uint64_t offset; /* Of the next line. */
    uint64_t end;    /* Nothing is read at or past this. */
    const char *window;
    char *allocated; /* The window's memory; NULL: another cursor's. */
    size_t window_capacity;
    size_t window_size;
    uint64_t window_offset;
    uint64_t searched;  /* No newline is between offset and this place, */
    bool is_newline_at; /* and one is there. */
    char *long_line;    /* The line under the cursor; NULL: in the window. */
};

/* The line under the cursor; valid until the cursor moves. */
struct kv_log_view {
    struct kv_log_pointer pointer; /* Its length counts a newline only where
                                      there is one. */
    const char *bytes;             /* Without the newline. */
    size_t size;                   /* Bytes of that. */
    bool is_cut;   /* They are only the head of a line that is not a record. */
    bool is_blank; /* If it is cut: it is all white space. */
    bool is_terminated; /* Ends in a newline. */
};

/* Sets the cursor on the line at an offset. The window begins with window_size
 * bytes, or fewer where there are fewer, and grows up to twice
 * KV_LOG_HELD_SIZE. The caller releases the cursor, also after a failure. */
kvstore_status kv_log_cursor_init(struct kv_log_cursor *cursor,
                                  const struct kv_log *log,
                                  uint64_t offset,
                                  uint64_t end,
                                  size_t window_size);

/* The same for a lookahead from a line that another cursor is at or has
 * reached: what that cursor has in memory is not read again. It does not move
 * until this one is released. */
kvstore_status kv_log_cursor_fork(const struct kv_log_cursor *other,
                                  uint64_t offset,
                                  size_t window_size,
                                  struct kv_log_cursor *cursor);

/* Moves to the next line, or returns KVSTORE_NOT_FOUND, with no error set, at
 * the end. A run of NUL bytes at the start of a line is a line of its own, and
 * one within a line ends it where a { follows, so that the record after a lost
 * page is seen. A newline directly after the run belongs to it. Each byte is
 * examined a bounded number of times, whatever it is. */
kvstore_status kv_log_cursor_next(struct kv_log_cursor *cursor,
                                  struct kv_log_view *view_out);

/* Returns the bytes at the cursor that are in memory; count_out may be 0. */
static inline const char *kv_log_cursor_peek(const struct kv_log_cursor *cursor,
                                             size_t *count_out)
{
    size_t at = (size_t)(cursor->offset - cursor->window_offset);
    *count_out = cursor->window_size - at;
    return cursor->window + at;
}

/* Frees the memory of the line under the cursor, if that is not the window. */
void kv_log_cursor_drop_long_line(struct kv_log_cursor *cursor);

/* kv_log_cursor_next() for a caller that has seen, among the bytes at the
 * cursor, that the line there has this length: no NUL, and no newline but its
 * last byte. */
static inline void kv_log_cursor_take(struct kv_log_cursor *cursor,
                                      size_t length,
                                      struct kv_log_view *view_out)
{
    size_t ahead = 0;
    const char *bytes = kv_log_cursor_peek(cursor, &ahead);
    assert(length > 0 && length <= ahead && bytes[length - 1] == '\n');
    if (cursor->long_line != NULL) {
        kv_log_cursor_drop_long_line(cursor);
    }
    *view_out = (struct kv_log_view){
        .pointer = {.offset = cursor->offset, .length = length},
        .bytes = bytes,
        .size = length - 1,
        .is_terminated = true};
    cursor->offset += length;
}

/* Moves past bytes in memory that are whole lines, without NULs. */
void kv_log_cursor_skip(struct kv_log_cursor *cursor, size_t size);
void kv_log_cursor_release(struct kv_log_cursor *cursor);

#endif
