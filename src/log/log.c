/* SPDX-License-Identifier: MIT */

/* The append-only file of lines. Knows bytes and newlines, not JSON; who may
 * write, and when, is decided above.
 *
 * Invariants:
 * 1. A line is never changed once it is whole. Only bytes behind the last
 *    sound line are ever cut off, and only under the writers' lock.
 * 2. A log that exists is durable with its directory entry before anything is
 *    acknowledged in it.
 * 3. What a read returns is bounded by KV_LINE_SIZE_MAX, whatever the file
 *    holds.
 * 4. Lines are appended in their order, from the end of the last one on, by one
 *    of three ways: copied to mapped padding, which cannot fail; written over
 *    padding; or written at the end of the file. What is written goes to the
 *    system with one call where the lines are several and fit a buffer, and is
 *    cut off again, with all padding, where that call or one of them fails.
 * 5. Appending is not syncing: the caller syncs before it acknowledges lines,
 *    and has them cut off where that fails. */

#include "log/log.h"

#include "log/map.h"
#include "log/padding.h"
#include "os/access.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* As much of a line as is fetched ahead: all of most lines. */
#define PREFETCH_SIZE 256u
#define CACHE_LINE_SIZE 64u

/* How often a log is looked for that was there a moment ago. */
#define CREATE_TRIES 16
#define OPEN_TRIES 16

/* --- The file --- */

/* Takes the file over if the name leads to it. One call tells which file that is,
 * and how many names it has: between two, names can be exchanged. */
static kvstore_status take_file(const struct kv_io_file *directory,
                                const struct kv_io_file *file,
                                bool *is_named_out,
                                struct kv_log *log_out)
{
    struct kv_io_stat own;
    struct kv_io_stat named = {.device = 0};
    *is_named_out = false;
    kvstore_status status = kv_io_stat(file, &own);
    if (status == KVSTORE_OK) {
        status = kv_io_stat_name(directory, KV_LOG_NAME, &named);
    }
    *is_named_out = status == KVSTORE_OK && own.device == named.device &&
                    own.inode == named.inode;
    if (*is_named_out) {
        *log_out = (struct kv_log){.file = *file,
                                   .device = named.device,
                                   .inode = named.inode,
                                   .names = named.names};
    }
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

static kvstore_status open_by_name(const struct kv_io_file *directory,
                                   bool is_writable,
                                   struct kv_log *log_out)
{
    struct kv_io_file file = KV_IO_FILE_NONE;
    kvstore_error before = *kvstore_last_error();
    kvstore_status status = kv_io_open(
        directory, KV_LOG_NAME, is_writable ? KV_IO_WRITE : KV_IO_READ, &file);
    if (status == KVSTORE_IO && kvstore_last_error()->system_errno == ENOENT) {
        kv_fail_again(&before);
        return KVSTORE_NOT_FOUND;
    }
    bool is_named = false;
    if (status == KVSTORE_OK) {
        status = take_file(directory, &file, &is_named, log_out);
    }
    if (status != KVSTORE_OK || !is_named) {
        kv_io_close(&file);
    }
    return status;
}

kvstore_status kv_log_open(const struct kv_io_file *directory,
                           bool is_writable,
                           struct kv_log *log_out)
{
    *log_out = KV_LOG_NONE;
    for (int i = 0; i < OPEN_TRIES; i++) {
        kvstore_status status = open_by_name(directory, is_writable, log_out);
        if (status != KVSTORE_OK || log_out->file.fd >= 0) {
            return status;
        }
    }
    return kv_fail(
        KVSTORE_BUSY, "busy: %s is replaced all the time", KV_LOG_NAME);
}

/* Makes the log. Only then it is given the directory's owner and mode: one that
 * appeared meanwhile may be anybody's file under this name. It is opened as one
 * that was there before, and may lack its syncs, if its maker has died. */
static kvstore_status create_or_open(const struct kv_io_file *directory,
                                     struct kv_log *log_out)
{
    struct kv_io_file file = KV_IO_FILE_NONE;
    kvstore_status status =
        kv_io_open(directory, KV_LOG_NAME, KV_IO_CREATE_NEW, &file);
    if (status != KVSTORE_OK) {
        return kvstore_last_error()->system_errno == EEXIST
                   ? kv_log_open(directory, true, log_out)
                   : status;
    }
    bool is_named = false;
    status = kv_io_adopt_directory(&file, directory);
    if (status == KVSTORE_OK) {
        status = take_file(directory, &file, &is_named, log_out);
    }
    if (!is_named) {
        kv_io_close(&file);
    }
    return status == KVSTORE_OK && !is_named ? KVSTORE_NOT_FOUND : status;
}

kvstore_status kv_log_create(const struct kv_io_file *directory,
                             struct kv_log *log_out)
{
    assert(directory->fd >= 0);
    *log_out = KV_LOG_NONE;
    kvstore_status status = KVSTORE_NOT_FOUND;
    for (int i = 0; i < CREATE_TRIES && status == KVSTORE_NOT_FOUND; i++) {
        status = create_or_open(directory, log_out);
    }
    if (status == KVSTORE_NOT_FOUND) {
        return kv_fail(KVSTORE_BUSY,
                       "busy: another program makes and removes %s",
                       KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_sync(&log_out->file);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_sync(directory);
    }
    if (status != KVSTORE_OK) {
        kv_log_close(log_out);
    }
    return status;
}

void kv_log_unmap(struct kv_log *log)
{
    kv_log_map_free(log->map);
    log->map = NULL;
}

void kv_log_close(struct kv_log *log)
{
    kv_log_unmap(log);
    kv_log_padding_free(log->tail);
    log->tail = NULL;
    kv_io_close(&log->file);
}

void kv_log_map(struct kv_log *log)
{
    if (log->map == NULL) {
        log->map = kv_log_map_create();
    }
}

void kv_log_open_tail(struct kv_log *log, bool is_mapped)
{
    if (log->tail == NULL) {
        log->tail = kv_log_padding_create(is_mapped);
    }
}

kvstore_status kv_log_look(const struct kv_log *log,
                           const struct kv_io_file *directory,
                           struct kv_log_place *place_out)
{
    *place_out = (struct kv_log_place){.is_current = false};
    struct kv_io_stat stat;
    kvstore_status status = kv_io_stat_name(directory, KV_LOG_NAME, &stat);
    if (status == KVSTORE_NOT_FOUND) {
        return kv_fail_errno(KVSTORE_IO, ENOENT, "%s is gone", KV_LOG_NAME);
    }
    if (status == KVSTORE_OK && stat.device == log->device &&
        stat.inode == log->inode) {
        *place_out = (struct kv_log_place){
            .is_current = true, .size = stat.size, .names = stat.names};
    }
    return status;
}

/* --- The end --- */

static size_t sum_sizes(const struct kv_log_bytes *lines, size_t count)
{
    size_t sum = lines[0].size; /* Most often, that is all. */
    for (size_t i = 1; i < count; i++) {
        sum += lines[i].size;
    }
    return sum;
}

/* Several lines in one buffer, if they fit one and there is memory for it. */
static char *join_lines(const struct kv_log_bytes *lines,
                        size_t count,
                        size_t size)
{
    if (count == 1 || size > KV_LOG_JOINED_SIZE_MAX) {
        return NULL;
    }
    kvstore_error before = *kvstore_last_error();
    char *buffer = kv_io_allocate(size);
    if (buffer == NULL) {
        kv_fail_again(&before);
        return NULL;
    }
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(buffer + done, lines[i].bytes, lines[i].size);
        done += lines[i].size;
    }
    return buffer;
}

/* One call where the lines fit a buffer; else one for each. */
static kvstore_status write_lines(const struct kv_log *log,
                                  uint64_t offset,
                                  const struct kv_log_bytes *lines,
                                  size_t count,
                                  size_t size)
{
    kvstore_status status = KVSTORE_OK;
    char *buffer = join_lines(lines, count, size);
    if (buffer != NULL) {
        status = kv_io_write(&log->file, offset, buffer, size);
        kv_io_free(buffer);
        return status;
    }
    for (size_t i = 0; i < count && status == KVSTORE_OK; i++) {
        status = kv_io_write(&log->file, offset, lines[i].bytes, lines[i].size);
        offset += lines[i].size;
    }
    return status;
}

kvstore_status kv_log_append(struct kv_log *log,
                             uint64_t end,
                             const struct kv_log_bytes *lines,
                             size_t count)
{
    assert(log->file.fd >= 0 && lines != NULL && count > 0);
    size_t size = sum_sizes(lines, count);
    if (end > KV_OFFSET_MAX - size) {
        return kv_fail(
            KVSTORE_TOO_LARGE, "%s is at its limit of 16 TiB", KV_LOG_NAME);
    }
    bool has_room = false;
    kvstore_status status =
        kv_log_padding_make_room(log->tail, &log->file, end, size, &has_room);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (has_room && kv_log_padding_is_mapped(log->tail)) {
        for (size_t i = 0; i < count; i++) {
            kv_log_padding_put(log->tail, lines[i].bytes, lines[i].size);
        }
        return KVSTORE_OK;
    }
    status = write_lines(log, end, lines, count, size);
    if (status != KVSTORE_OK) {
        kv_log_cut(log, end);
    } else if (has_room) {
        kv_log_padding_take(log->tail, size);
    }
    return status;
}

void kv_log_cut(struct kv_log *log, uint64_t end)
{
    assert(log->file.fd >= 0);
    kv_log_padding_cut(log->tail, &log->file, end);
}

void kv_log_trim(struct kv_log *log)
{
    assert(log->tail == NULL || log->file.fd >= 0);
    kv_log_padding_trim(log->tail, &log->file);
}

bool kv_log_is_padded(const struct kv_log *log)
{
    assert(log->tail == NULL || log->file.fd >= 0);
    return kv_log_padding_is_padded(log->tail);
}

uint64_t kv_log_size_at(const struct kv_log *log, uint64_t end)
{
    assert(log->tail == NULL || log->file.fd >= 0);
    return kv_log_padding_file_size(log->tail, end);
}

kvstore_status kv_log_has_more(const struct kv_log *log,
                               uint64_t offset,
                               uint64_t size,
                               bool *has_more_out)
{
    assert(log->file.fd >= 0);
    bool is_padding = false;
    kvstore_status status = KVSTORE_OK;
    if (offset < size) {
        status = kv_log_padding_find(&log->file, offset, size, &is_padding);
    }
    *has_more_out = offset != size && !is_padding;
    return status;
}

kvstore_status kv_log_find_end(const struct kv_log *log,
                               uint64_t size,
                               uint64_t *end_out)
{
    assert(log->file.fd >= 0);
    return kv_log_padding_find_end(&log->file, size, end_out);
}

/* --- One line --- */

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

/* No line that is asked for has a NUL in it, but for damage, of which only what is
 * before that counts: so a hole of the file is no line, however large it is. */
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
    line->length = line->size + 1;
    return true;
}

/* Finds the line in the map. The newline of the last line may not be there yet,
 * nor the page that it will stand on: it is not touched. */
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

/* Reads on behind the bytes that were read so far, in a buffer with room for
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
    *begins_line_out = status == KVSTORE_OK && count == 1 &&
                       (before == '\n' || before == '\0');
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
