/* SPDX-License-Identifier: MIT */

/* Mends the log's end.
 *
 * Invariants:
 * 1. Only kv_mend_end() changes the log, and only at and past the place where
 *    the fold ended.
 * 2. Bytes that may be more than one unfinished write are on the disk in
 *    store.log.cut-<offset> before they leave the log. A crash in between
 *    leaves both; the next mending saves them again under another name.
 * 3. The cut is on the disk before anything is appended: else old bytes and new
 *    ones could meet after a power cut. */

#include "log/mend.h"

#include "log/padding.h"
#include "os/access.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/system.h"
#include "record/prefix.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY_SIZE ((size_t)64 << 10)
#define CUT_NAMES_MAX 1000

/* What disks keep or lose as a whole: log/fold.c relies on it. */
#define LOST_UNIT 512u

static bool is_zero(const char *bytes, size_t size)
{
    return size > 0 && bytes[0] == '\0' &&
           memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Returns where data goes on after some NULs and the hole that may follow them;
 * at an end at the latest. */
static uint64_t pass_hole(const struct kv_io_file *file,
                          uint64_t offset,
                          uint64_t end)
{
    uint64_t data = offset < end ? kv_io_next_data(file, offset) : offset;
    return data < end ? data : end;
}

/* Copies some of the bytes [offset, end). A hole that follows NULs is one in
 * the copy, too: there may be no room for anything else. */
static kvstore_status copy_some(const struct kv_io_file *from,
                                uint64_t *offset,
                                uint64_t end,
                                const struct kv_io_file *to,
                                uint64_t to_offset,
                                char buffer[COPY_SIZE])
{
    uint64_t left = end - *offset;
    size_t wanted = left < COPY_SIZE ? (size_t)left : COPY_SIZE;
    size_t part = 0;
    kvstore_status status = kv_io_read(from, *offset, buffer, wanted, &part);
    if (status == KVSTORE_OK && part == 0) {
        return kv_fail_at(KVSTORE_IO, *offset, "%s was cut short", KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_write(to, to_offset, buffer, part);
    }
    *offset += part;
    if (status == KVSTORE_OK && is_zero(buffer, part)) {
        uint64_t data = pass_hole(from, *offset, end);
        uint64_t to_end = to_offset + part + (data - *offset);
        if (data != *offset) {
            status = kv_io_truncate(to, to_end);
        }
        *offset = data;
    }
    return status;
}

kvstore_status kv_mend_copy(const struct kv_io_file *from,
                            uint64_t offset,
                            uint64_t end,
                            const struct kv_io_file *to,
                            uint64_t to_offset)
{
    char *buffer = kv_io_allocate(COPY_SIZE);
    if (buffer == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kvstore_status status = KVSTORE_OK;
    uint64_t done = offset;
    while (status == KVSTORE_OK && done < end) {
        status = copy_some(
            from, &done, end, to, to_offset + (done - offset), buffer);
    }
    kv_io_free(buffer);
    return status;
}

/* Creates store.log.cut-<offset>, or, if that name is taken by anything, the
 * same with -1, -2 and so on after it. */
static kvstore_status create_cut_file(const struct kv_io_file *directory,
                                      uint64_t offset,
                                      char name[KV_CUT_NAME_SIZE],
                                      struct kv_io_file *file_out)
{
    for (int i = 0; i < CUT_NAMES_MAX; i++) {
        (void)snprintf(name,
                       KV_CUT_NAME_SIZE,
                       i == 0 ? KV_LOG_NAME ".cut-%" PRIu64
                              : KV_LOG_NAME ".cut-%" PRIu64 "-%d",
                       offset,
                       i);
        kvstore_status status =
            kv_io_open(directory, name, KV_IO_CREATE_NEW, file_out);
        if (status == KVSTORE_OK ||
            kvstore_last_error()->system_errno != EEXIST) {
            return status;
        }
    }
    return kv_fail_errno(KVSTORE_IO,
                         EEXIST,
                         "cannot save what is cut off: %s and the %d names "
                         "before it are taken",
                         name,
                         CUT_NAMES_MAX - 1);
}

kvstore_status kv_mend_save(const struct kv_log *log,
                            const struct kv_io_file *directory,
                            uint64_t offset,
                            uint64_t end,
                            char name[KV_CUT_NAME_SIZE])
{
    struct kv_io_file file = KV_IO_FILE_NONE;
    kvstore_status status = create_cut_file(directory, offset, name, &file);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_io_adopt_file(&file, &log->file);
    if (status == KVSTORE_OK) {
        status = kv_mend_copy(&log->file, offset, end, &file, 0);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_sync(&file);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_sync(directory);
    }
    kv_io_close(&file);
    if (status != KVSTORE_OK) {
        /* The log still holds it all; the next mending tries again. */
        kv_error_hold();
        (void)kv_io_unlink(directory, name);
        kv_error_release();
    }
    return status;
}

static bool is_white(char character)
{
    return memchr(" \t\r\n", character, 4) != NULL;
}

/* What a torn tail looks like, byte by byte. White space after its first
 * newline changes nothing; alone it is padding. */
struct tail_shape {
    struct kv_record_prefix prefix; /* Up to the first byte that was lost. */
    bool is_past_prefix;
    bool is_foreign; /* No write of ours looks like this, however little of it
                        reached the disk. */
    uint64_t size;
    char last;
    char last_dark;       /* That is not white space. */
    char first_dark;      /* After the last hole; NUL: none. */
    bool has_holes;       /* NULs. */
    bool is_terminated;   /* There is a newline, */
    bool has_second_line; /* and not only white space after it, */
    bool is_padded;       /* and the rest of padding before it. */
    bool lacks_start;     /* Its first byte, stored last in log/padding.c. */
};

/* Tabs or NULs are what a line has in the place of what was lost: from there on
 * only whole sectors follow. */
static bool is_lost(char byte)
{
    return byte == KV_LOG_PADDING_BYTE || byte == '\0';
}

/* True if a line of ours cannot go on with this byte. */
static bool is_foreign_byte(struct tail_shape *shape,
                            uint64_t offset,
                            char byte)
{
    if (is_lost(byte) || byte == '\n') {
        shape->is_past_prefix = true;
        return false;
    }
    if (!shape->is_past_prefix) {
        return !kv_record_prefix_take(&shape->prefix, byte);
    }
    bool resumes = shape->size > 0 && is_lost(shape->last);
    return (unsigned char)byte < 0x20 ||
           (resumes && offset % LOST_UNIT != 0 && !shape->lacks_start);
}

static void look_at_byte(struct tail_shape *shape, uint64_t offset, char byte)
{
    bool is_dark = !is_white(byte);
    shape->has_second_line |= shape->is_terminated && is_dark;
    shape->is_padded |= byte == '\n' && !shape->is_terminated &&
                        shape->last == KV_LOG_PADDING_BYTE &&
                        (offset + 1) % KV_PADDING_UNIT == 0;
    shape->lacks_start |=
        shape->size == 1 && shape->last == '\t' && byte == '"';
    shape->is_foreign |= is_foreign_byte(shape, offset, byte);
    shape->is_terminated |= byte == '\n';
    shape->has_holes |= byte == '\0';
    if (byte == '\0') {
        shape->first_dark = '\0';
    } else if (is_dark && shape->first_dark == '\0') {
        shape->first_dark = byte;
    }
    shape->last_dark = is_dark ? byte : shape->last_dark;
    shape->last = byte;
    shape->size++;
}

/* True if it can be one write that was not finished. After holes there may be a
 * whole line. */
static bool is_unfinished(const struct tail_shape *shape)
{
    bool is_blank = !shape->has_holes && shape->first_dark == '\0';
    bool may_be_whole = shape->first_dark == '{' && shape->last_dark == '}';
    return is_blank ||
           (!shape->has_second_line && !shape->is_foreign &&
            (!shape->is_terminated || shape->is_padded || shape->lacks_start ||
             (shape->has_holes && !may_be_whole)));
}

static kvstore_status is_unfinished_line(const struct kv_log *log,
                                         uint64_t offset,
                                         uint64_t end,
                                         bool *is_unfinished_out)
{
    struct tail_shape shape = {.prefix = kv_record_prefix_begin()};
    char bytes[4096];
    size_t part = sizeof bytes;
    while (offset < end && part > 0 && !shape.has_second_line &&
           !shape.is_foreign) {
        kvstore_status status =
            kv_io_read(&log->file, offset, bytes, sizeof bytes, &part);
        if (status != KVSTORE_OK) {
            return status;
        }
        for (size_t i = 0; i < part; i++) {
            look_at_byte(&shape, offset + i, bytes[i]);
        }
        offset += part;
        if (is_zero(bytes, part)) {
            offset = pass_hole(&log->file, offset, end);
        }
    }
    *is_unfinished_out = is_unfinished(&shape);
    return KVSTORE_OK;
}

/* Cuts the torn tail off. Records of a batch that was never whole were never
 * acknowledged, and show it themselves: what follows them decides whether the
 * tail is saved. */
static kvstore_status cut_tail(const struct kv_log *log,
                               const struct kv_io_file *directory,
                               const struct kv_fold_result *result,
                               uint64_t end,
                               char name_out[KV_CUT_NAME_SIZE])
{
    uint64_t offset = result->offset;
    uint64_t rest = result->batch_end > offset ? result->batch_end : offset;
    bool is_just_cut = false;
    kvstore_status status = is_unfinished_line(log, rest, end, &is_just_cut);
    if (status == KVSTORE_OK && !is_just_cut) {
        status = kv_mend_save(log, directory, offset, end, name_out);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_truncate(&log->file, offset);
    }
    return status;
}

kvstore_status kv_mend_end(const struct kv_log *log,
                           const struct kv_io_file *directory,
                           uint64_t size,
                           const struct kv_fold_result *result,
                           char name_out[KV_CUT_NAME_SIZE])
{
    name_out[0] = '\0';
    if (result->is_torn) {
        return cut_tail(log, directory, result, size, name_out);
    }
    if (result->is_unterminated) {
        assert(result->offset == size + 1);
        return kv_io_write(&log->file, size, "\n", 1);
    }
    return KVSTORE_OK;
}
