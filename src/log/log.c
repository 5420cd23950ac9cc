/* SPDX-License-Identifier: MIT */

/* The append-only file of lines. Knows bytes and newlines, not JSON; which
 * process may write, and when, is decided above.
 *
 * Invariants:
 * 1. A line is never changed once it is whole. Only bytes after the last sound
 *    line are ever cut off, and only under the writers' lock.
 * 2. A log that exists is durable with its directory entry before anything is
 *    acknowledged in it.
 * 3. Lines are appended in their order, from the end of the last one on, by one
 *    of three ways: copied to mapped padding, which cannot fail; written over
 *    padding; or written at the end of the file. What is written goes to the
 *    system with one call where the lines are several and fit a buffer, and is
 *    cut off again, with all padding, where that call or one of them fails.
 * 4. Appending is not syncing: the caller syncs before it acknowledges lines,
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

/* How many tries there are to open a log that was there a moment ago. */
#define CREATE_TRIES 16
#define OPEN_TRIES 16

/* --- The file --- */

/* Takes the file over if the name leads to it. One call reports which file that
 * is and how many names it has: between two, names can be exchanged. */
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
    kv_error_hold();
    kvstore_status status = kv_io_open(
        directory, KV_LOG_NAME, is_writable ? KV_IO_WRITE : KV_IO_READ, &file);
    bool is_absent =
        status == KVSTORE_IO && kvstore_last_error()->system_errno == ENOENT;
    (void)kv_error_release_after(is_absent ? KVSTORE_OK : status);
    if (is_absent) {
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

/* Creates the log. Only then is it given the directory's owner and mode: one
 * that appeared meanwhile may be any user's file of this name. That one is
 * opened like one that was there before, and may lack its syncs, if its creator
 * has died. */
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

void kv_log_close(struct kv_log *log)
{
    kv_log_map_free(log->map);
    log->map = NULL;
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
        *place_out = (struct kv_log_place){.is_current = true,
                                           .size = stat.size,
                                           .names = stat.names,
                                           .size_limit = kv_io_size_limit()};
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

/* Copies several lines to one buffer, if they fit and there is memory for
 * it. */
static char *join_lines(const struct kv_log_bytes *lines,
                        size_t count,
                        size_t size)
{
    if (count == 1 || size > KV_LOG_JOINED_SIZE_MAX) {
        return NULL;
    }
    kv_error_hold();
    char *buffer = kv_io_allocate(size);
    kv_error_release();
    if (buffer == NULL) {
        return NULL;
    }
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(buffer + done, lines[i].bytes, lines[i].size);
        done += lines[i].size;
    }
    return buffer;
}

static kvstore_status write_bytes(const struct kv_log *log,
                                  uint64_t offset,
                                  const void *bytes,
                                  size_t size,
                                  uint64_t size_limit)
{
    return size_limit == 0 ? kv_io_write(&log->file, offset, bytes, size)
                           : kv_io_write_within(
                                 &log->file, offset, bytes, size, size_limit);
}

/* Writes the lines with one call if they fit a buffer; else with one for each.
 * size_limit: 0: it must be asked for. */
static kvstore_status write_lines(const struct kv_log *log,
                                  uint64_t offset,
                                  const struct kv_log_bytes *lines,
                                  size_t count,
                                  size_t size,
                                  uint64_t size_limit)
{
    kvstore_status status = KVSTORE_OK;
    char *buffer = join_lines(lines, count, size);
    if (buffer != NULL) {
        status = write_bytes(log, offset, buffer, size, size_limit);
        kv_io_free(buffer);
        return status;
    }
    for (size_t i = 0; i < count && status == KVSTORE_OK; i++) {
        status = kv_io_write_within(
            &log->file, offset, lines[i].bytes, lines[i].size, log->size_limit);
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
            KVSTORE_TOO_LARGE, "%s is at its limit of 1 TiB", KV_LOG_NAME);
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
    /* Over padding the file does not grow. */
    uint64_t size_limit = has_room ? UINT64_MAX : log->size_limit;
    status = write_lines(log, end, lines, count, size, size_limit);
    if (status != KVSTORE_OK) {
        kv_log_cut(log, end);
    } else if (has_room) {
        kv_log_padding_take(log->tail, size);
    }
    return status;
}

bool kv_log_has_mapped_room(const struct kv_log *log, size_t size)
{
    return kv_log_padding_has_room(log->tail, size);
}

void kv_log_put(struct kv_log *log, const char *line, size_t size)
{
    kv_log_padding_put(log->tail, line, size);
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
