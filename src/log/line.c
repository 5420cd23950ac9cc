/* SPDX-License-Identifier: MIT */

/* Reads single lines of a log: from the map where it has them, else by system
 * calls.
 *
 * Invariants:
 * 1. What a read returns is bounded by KV_LINE_SIZE_MAX, whatever the file
 *    holds, and goes no further than the first NUL. */

#include "log/line.h"

#include "log/map.h"
#include "os/bounds.h"
#include "os/file.h"

#include <assert.h>
#include <string.h>

/* How much of a line is fetched ahead: all of it, for most lines. */
#define PREFETCH_SIZE 256u
#define CACHE_LINE_SIZE 64u

/* Makes room for more than the bytes that were read so far, which are kept. */
static kvstore_status grow_line(struct kv_log_line *line,
                                size_t used,
                                size_t most,
                                size_t *capacity)
{
    size_t larger_size = *capacity < ((size_t)1 << 20) ? *capacity * 8
                         : *capacity < most / 2        ? *capacity * 2
                                                       : most;
    char *larger = kv_io_allocate(larger_size);
    if (larger == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memcpy(larger, line->bytes, used);
    kv_io_free(line->allocated);
    line->allocated = larger;
    line->bytes = larger;
    *capacity = larger_size;
    return KVSTORE_OK;
}

/* No line that is asked for has a NUL in it, except damage: the NUL shows that
 * it is not a record, and its key comes before that. So a line ends with its
 * first NUL, and a hole in the file costs nothing, however large it is. */
#define SEARCH_SIZE ((size_t)4096)

/* Sets the line's size if its end is among the bytes read so far; or if these
 * are all that it can have. */
static bool find_line_end(struct kv_log_line *line,
                          size_t from,
                          size_t used,
                          bool is_all)
{
    const char *end = NULL;
    size_t at = from;
    while (end == NULL && at < used) {
        size_t part = used - at < SEARCH_SIZE ? used - at : SEARCH_SIZE;
        end = memchr(line->bytes + at, '\n', part);
        if (end == NULL) {
            end = memchr(line->bytes + at, '\0', part);
        }
        at += part;
    }
    if (end == NULL && !is_all) {
        return false;
    }
    line->size = end == NULL ? used : (size_t)(end - line->bytes);
    line->size += end != NULL && *end == '\0' ? 1 : 0;
    line->length = line->size + 1;
    return true;
}

/* Finds the line in the map. The newline of the last line may not be there yet,
 * nor the page that will hold it: it is not touched. */
static bool find_mapped(const struct kv_log *log,
                        uint64_t offset,
                        size_t most,
                        struct kv_log_line *line)
{
    uint64_t count = 0;
    const char *bytes =
        log->map == NULL
            ? NULL
            : kv_log_map_find(log->map, &log->file, offset, &count);
    if (bytes == NULL) {
        return false;
    }
    line->bytes = bytes;
    return find_line_end(
        line, 0, count < most ? (size_t)count : most, most <= count);
}

/* Reads on after the bytes that were read so far, in a buffer with room for
 * more. is_done_out: the line's end is among them, or there is no line. */
static kvstore_status read_more(const struct kv_log *log,
                                uint64_t offset,
                                size_t room,
                                size_t most,
                                struct kv_log_line *line,
                                bool *is_done_out)
{
    size_t used = line->size;
    size_t part = 0;
    char *buffer =
        line->allocated != NULL ? line->allocated : line->inline_bytes;
    kvstore_status status =
        kv_io_read_some(&log->file, offset + used, buffer + used, room, &part);
    *is_done_out = status != KVSTORE_OK || used + part == 0;
    if (*is_done_out) {
        return status;
    }
    bool is_all = part == 0 || used + part == most;
    line->size = used + part;
    *is_done_out = find_line_end(line, used, used + part, is_all);
    return KVSTORE_OK;
}

static kvstore_status read_line(const struct kv_log *log,
                                uint64_t offset,
                                size_t most,
                                struct kv_log_line *line)
{
    size_t capacity = sizeof line->inline_bytes;
    bool is_done = false;
    kvstore_status status = KVSTORE_OK;
    line->bytes = line->inline_bytes; /* Not in the map. */
    while (status == KVSTORE_OK && !is_done) {
        if (line->size == capacity) {
            status = grow_line(line, line->size, most, &capacity);
        }
        if (status == KVSTORE_OK) {
            size_t room = (most < capacity ? most : capacity) - line->size;
            status = read_more(log, offset, room, most, line, &is_done);
        }
    }
    return status;
}

kvstore_status kv_log_read_line(const struct kv_log *log,
                                uint64_t offset,
                                uint64_t end,
                                struct kv_log_line *line_out)
{
    line_out->bytes = line_out->inline_bytes;
    line_out->size = 0;
    line_out->length = 0;
    line_out->allocated = NULL;
    if (offset >= end) {
        return KVSTORE_OK;
    }
    uint64_t content = end - offset - 1;
    size_t most =
        content < KV_LINE_SIZE_MAX ? (size_t)content : KV_LINE_SIZE_MAX;
    if (most == 0) {
        line_out->length = 1;
        return KVSTORE_OK;
    }
    if (find_mapped(log, offset, most, line_out)) {
        return KVSTORE_OK;
    }
    kvstore_status status = read_line(log, offset, most, line_out);
    if (status != KVSTORE_OK) {
        kv_log_line_release(line_out);
    }
    return status;
}

/* True if a line can follow a byte. */
static bool ends_line(char before)
{
    return before == '\n' || before == '\0';
}

/* Reads bytes of the file into the line's own memory. */
static kvstore_status read_whole(const struct kv_log *log,
                                 uint64_t offset,
                                 size_t size,
                                 struct kv_log_line *line,
                                 bool *is_there_out)
{
    char *buffer = line->inline_bytes;
    if (size > sizeof line->inline_bytes) {
        buffer = line->allocated = kv_io_allocate(size);
        if (buffer == NULL) {
            return KVSTORE_NO_MEMORY;
        }
    }
    size_t count = 0;
    kvstore_status status =
        kv_io_read(&log->file, offset, buffer, size, &count);
    line->bytes = buffer;
    *is_there_out = status == KVSTORE_OK && count == size;
    return status;
}

kvstore_status kv_log_read_record(const struct kv_log *log,
                                  struct kv_log_pointer pointer,
                                  struct kv_log_line *line_out,
                                  bool *is_there_out)
{
    assert(pointer.length > 0 && pointer.length <= KV_LINE_SIZE_MAX);
    size_t before = pointer.offset == 0 ? 0 : 1;
    uint64_t offset = pointer.offset - before;
    line_out->size = (size_t)pointer.length - 1;
    line_out->length = pointer.length;
    line_out->allocated = NULL;
    size_t size = before + line_out->size;
    kvstore_status status = KVSTORE_OK;
    line_out->bytes = log->map == NULL
                          ? NULL
                          : kv_log_map_get(log->map, &log->file, offset, size);
    *is_there_out = line_out->bytes != NULL;
    if (line_out->bytes == NULL) {
        status = read_whole(log, offset, size, line_out, is_there_out);
    }
    *is_there_out =
        *is_there_out && (before == 0 || ends_line(line_out->bytes[0]));
    if (!*is_there_out) {
        kv_log_line_release(line_out);
        return status;
    }
    line_out->bytes += before;
    return status;
}

/* How much of a long line is read at once, to find its end. */
#define MEASURE_SIZE ((size_t)16384)

kvstore_status kv_log_measure_line(const struct kv_log *log,
                                   uint64_t offset,
                                   uint64_t end,
                                   uint64_t *length_out)
{
    char bytes[MEASURE_SIZE];
    *length_out = 0;
    if (end - offset > KV_LINE_SIZE_MAX) {
        end = offset + KV_LINE_SIZE_MAX;
    }
    for (uint64_t at = offset; at < end;) {
        uint64_t left = end - at;
        size_t count = 0;
        kvstore_status status =
            kv_io_read(&log->file,
                       at,
                       bytes,
                       left < sizeof bytes ? (size_t)left : sizeof bytes,
                       &count);
        if (status != KVSTORE_OK) {
            return status;
        }
        const char *newline = memchr(bytes, '\n', count);
        size_t searched = newline == NULL ? count : (size_t)(newline - bytes);
        if (memchr(bytes, '\0', searched) != NULL) {
            return KVSTORE_OK; /* No record has one. */
        }
        bool is_at_end = at + count + 1 == end && count < left;
        if (newline != NULL || is_at_end) {
            /* The newline of the last line may not be there yet. */
            *length_out = at + searched + 1 - offset;
            return KVSTORE_OK;
        }
        if (count == 0) {
            return KVSTORE_OK;
        }
        at += count;
    }
    return KVSTORE_OK;
}

void kv_log_line_release(struct kv_log_line *line)
{
    kv_io_free(line->allocated);
    line->allocated = NULL;
    line->bytes = line->inline_bytes;
    line->size = 0;
}

kvstore_status kv_log_begins_line(const struct kv_log *log,
                                  uint64_t offset,
                                  bool *begins_line_out)
{
    *begins_line_out = offset == 0;
    if (offset == 0) {
        return KVSTORE_OK;
    }
    char before = 0;
    size_t count = 1;
    kvstore_status status = KVSTORE_OK;
    const char *mapped =
        log->map == NULL ? NULL : kv_log_map_peek(log->map, offset - 1);
    if (mapped != NULL) {
        before = *mapped;
    } else {
        status = kv_io_read(&log->file, offset - 1, &before, 1, &count);
    }
    *begins_line_out = status == KVSTORE_OK && count == 1 && ends_line(before);
    return status;
}

void kv_log_prefetch(const struct kv_log *log, uint64_t offset)
{
    const char *bytes =
        log->map == NULL ? NULL : kv_log_map_peek(log->map, offset);
    for (size_t i = 0; bytes != NULL && i < PREFETCH_SIZE;
         i += CACHE_LINE_SIZE) {
        __builtin_prefetch(bytes + i);
    }
}
