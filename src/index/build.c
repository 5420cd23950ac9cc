/* SPDX-License-Identifier: MIT */

/* Recovery is one fold into an index, and then the mending of the log's end.
 *
 * Invariants:
 * 1. A fold changes no file; only kv_mend_end() does, and only at and
 *    behind the place where the fold ended.
 * 2. Bytes that may be more than one unfinished write are on the disk in
 *    store.log.cut-<offset> before they leave the log. A crash in between
 *    leaves both; the next recovery saves them again under another name.
 * 3. The cut is on the disk before anything is appended: else old bytes and
 *    new ones could meet after a power cut. */

#include "index/build.h"

#include "os/access.h"
#include "os/bounds.h"
#include "os/error.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How many places of a log are looked at to tell how many lines it has. */
#define SAMPLE_COUNT 16u
#define SAMPLE_SIZE 4096u

/* A key takes some 16 bytes in an index, which begins with 16 MiB at most: a log
 * of holes looks as large as one of lines. */
#define LOG_BYTES_PER_KEY 128u
#define GUESS_MAX ((uint64_t)1 << 20)

#define COPY_SIZE ((size_t)64 << 10)
#define CUT_NAMES_MAX 1000

/* --- Folding into an index --- */

static kvstore_status apply_item(void *context, const struct kv_fold_item *item)
{
    return kv_index_queue_apply(context, item);
}

static kvstore_status fold_into(const struct kv_log *log,
                                struct kv_fold_range range,
                                struct kv_index *index,
                                struct kv_fold_result *result_out)
{
    struct kv_index_queue queue;
    kv_index_queue_init(&queue, index, log);
    kvstore_status status = kv_fold(log, range, apply_item, &queue, result_out);
    return status == KVSTORE_OK ? kv_index_queue_flush(&queue) : status;
}

kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 struct kv_index *index,
                                 struct kv_fold_result *result_out)
{
    const struct kv_table_totals *totals = &index->totals;
    struct kv_fold_range range = {.offset = totals->applied,
                                  .end = size,
                                  .follows = totals->follows,
                                  .may_be_padded = true,
                                  .progress = progress};
    assert(totals->applied <= size);
    return fold_into(log, range, index, result_out);
}

/* A guess at how many keys a log holds, from how many newlines some places of it
 * have: as many as there are lines; but no more than fit an index of an eighth
 * of the log, since that must find its room, too, and no more than GUESS_MAX. An
 * index for fewer keys grows on the way, one for more is made smaller at the
 * end. */
static kvstore_status guess_keys(const struct kv_log *log,
                                 uint64_t size,
                                 uint64_t *key_count_out)
{
    uint64_t newlines = 0;
    uint64_t looked_at = 0;
    for (uint64_t i = 0; i < SAMPLE_COUNT; i++) {
        char bytes[SAMPLE_SIZE];
        size_t part = 0;
        kvstore_status status = kv_io_read(
            &log->file, size / SAMPLE_COUNT * i, bytes, sizeof bytes, &part);
        if (status != KVSTORE_OK) {
            return status;
        }
        for (size_t j = 0; j < part; j++) {
            newlines += bytes[j] == '\n' ? 1 : 0;
        }
        looked_at += part;
    }
    uint64_t lines = looked_at == 0 ? 0 : size / looked_at * newlines;
    uint64_t most = size / LOG_BYTES_PER_KEY;
    most = most < GUESS_MAX ? most : GUESS_MAX;
    *key_count_out = lines < most ? lines : most;
    return KVSTORE_OK;
}

kvstore_status kv_build_build_range(const struct kv_log *log,
                                    struct kv_fold_range range,
                                    const struct kv_io_file *directory,
                                    struct kv_index *index_out,
                                    struct kv_fold_result *result_out)
{
    *index_out = KV_INDEX_NONE;
    struct kv_index index;
    uint64_t key_count = 0;
    assert(range.offset == 0 && range.follows == 0);
    kvstore_status status = guess_keys(log, range.end, &key_count);
    if (status == KVSTORE_OK) {
        status = kv_index_create(key_count, directory, log, &index);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    status = fold_into(log, range, &index, result_out);
    if (status != KVSTORE_OK) {
        kv_index_release(&index);
        return status;
    }
    kv_index_shrink(&index, log);
    *index_out = index;
    return KVSTORE_OK;
}

kvstore_status kv_build_index(const struct kv_log *log,
                              uint64_t size,
                              const struct kv_progress *progress,
                              const struct kv_io_file *directory,
                              struct kv_index *index_out,
                              struct kv_fold_result *result_out)
{
    struct kv_fold_range range = {
        .end = size, .may_be_padded = true, .progress = progress};
    return kv_build_build_range(log, range, directory, index_out, result_out);
}

/* --- Mending the end of the log --- */

static bool is_zero(const char *bytes, size_t size)
{
    return size > 0 && bytes[0] == '\0' &&
           memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Where bytes before an end go on that follow some NULs, if a hole does. */
static uint64_t pass_hole(const struct kv_io_file *file,
                          uint64_t offset,
                          uint64_t end)
{
    uint64_t data = offset < end ? kv_io_next_data(file, offset) : offset;
    return data < end ? data : end;
}

/* Copies some of the bytes [offset, end), and the hole that follows NULs: it is
 * one in the copy, too, which may be what there is room for. */
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

/* Creates store.log.cut-<offset>, or, where that name is taken, by whatever it
 * may be, the same with -1, -2 and so on after it. */
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
        /* The log still holds it all; the next recovery tries again. */
        kvstore_error reason = *kvstore_last_error();
        (void)kv_io_unlink(directory, name);
        kv_fail_again(&reason);
    }
    return status;
}

static bool is_white(char character)
{
    return memchr(" \t\r\n", character, 4) != NULL;
}

/* What a torn tail looks like, byte by byte. White space changes nothing behind
 * its first newline; alone it is padding. */
struct tail_shape {
    uint64_t size;
    char last;
    char last_dark;       /* That is no white space. */
    char first_dark;      /* Behind the last hole; NUL: nothing is. */
    bool has_holes;       /* NULs. */
    bool is_terminated;   /* There is a newline, */
    bool has_second_line; /* and not only white space behind it, */
    bool is_padded;       /* and the rest of padding before it. */
    bool lacks_start;     /* Its first byte, stored last in log/padding.c. */
};

static void look_at_byte(struct tail_shape *shape, uint64_t offset, char byte)
{
    bool is_dark = !is_white(byte);
    shape->has_second_line |= shape->is_terminated && is_dark;
    shape->is_padded |= byte == '\n' && !shape->is_terminated &&
                        shape->last == KV_LOG_PADDING_BYTE &&
                        (offset + 1) % KV_PADDING_UNIT == 0;
    shape->lacks_start |=
        shape->size == 1 && shape->last == '\t' && byte == '"';
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

/* Can it be one write that was not finished? Behind holes there may be a line
 * that is whole. */
static bool is_unfinished(const struct tail_shape *shape)
{
    bool is_blank = !shape->has_holes && shape->first_dark == '\0';
    bool may_be_whole = shape->first_dark == '{' && shape->last_dark == '}';
    return is_blank ||
           (!shape->has_second_line &&
            (!shape->is_terminated || shape->is_padded || shape->lacks_start ||
             (shape->has_holes && !may_be_whole)));
}

static kvstore_status is_unfinished_line(const struct kv_log *log,
                                         uint64_t offset,
                                         uint64_t end,
                                         bool *is_unfinished_out)
{
    struct tail_shape shape = {0};
    char bytes[4096];
    size_t part = sizeof bytes;
    while (offset < end && part > 0 && !shape.has_second_line) {
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

/* Records of a batch that was never whole were never acknowledged, and say so
 * themselves: what follows them decides. */
static kvstore_status cut_tail(const struct kv_log *log,
                               const struct kv_io_file *directory,
                               const struct kv_fold_result *result,
                               uint64_t end)
{
    uint64_t offset = result->offset;
    uint64_t rest = result->batch_end > offset ? result->batch_end : offset;
    bool is_just_cut = false;
    kvstore_status status = is_unfinished_line(log, rest, end, &is_just_cut);
    if (status == KVSTORE_OK && !is_just_cut) {
        char name[KV_CUT_NAME_SIZE];
        status = kv_mend_save(log, directory, offset, end, name);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_truncate(&log->file, offset);
    }
    return status;
}

kvstore_status kv_mend_end(const struct kv_log *log,
                           const struct kv_io_file *directory,
                           uint64_t size,
                           const struct kv_fold_result *result)
{
    if (result->is_torn) {
        return cut_tail(log, directory, result, size);
    }
    if (result->is_unterminated) {
        assert(result->offset == size + 1);
        return kv_io_write(&log->file, size, "\n", 1);
    }
    return KVSTORE_OK;
}
