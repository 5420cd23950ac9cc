/* SPDX-License-Identifier: MIT */

/* Recovery is one fold into a keydir, and then the mending of the log's end.
 *
 * Invariants:
 * 1. A fold changes no file; only kv_recovery_settle() does, and only at and
 *    behind the place where the fold ended.
 * 2. Bytes that may be more than one unfinished write are on the disk in
 *    store.log.cut-<offset> before they leave the log. A crash in between
 *    leaves both; the next recovery saves them again under another name.
 * 3. The cut is on the disk before anything is appended: else old bytes and
 *    new ones could meet after a power cut. */

#include "recovery.h"

#include "bounds.h"
#include "error.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How many places of a log are looked at to tell how many lines it has. */
#define SAMPLE_COUNT 16u
#define SAMPLE_SIZE 4096u

#define COPY_SIZE ((size_t)64 << 10)
#define CUT_NAMES_MAX 1000

/* --- Folding into a keydir --- */

/* In an index that does not fit the processor's cache, nearly every record
 * costs a wait for memory. So records are applied a few lines after they were
 * read, when the slots of their keys have been fetched. */
#define QUEUE_SIZE 16u
#define QUEUED_KEY_SIZE_MAX 64u

struct queued {
    struct kv_log_pointer pointer;
    enum kv_command_type type;
    size_t key_size;
    char key[QUEUED_KEY_SIZE_MAX];
};

struct application {
    struct kv_keydir *keydir;
    const struct kv_log *log;
    struct kv_log_pointer last; /* The last line that had bytes. */
    unsigned count;
    struct queued queue[QUEUE_SIZE];
};

static kvstore_status apply_queue(struct application *application)
{
    kvstore_status status = KVSTORE_OK;
    unsigned i = 0;
    for (; i < application->count && status == KVSTORE_OK; i++) {
        const struct queued *queued = &application->queue[i];
        struct kv_command command = {
            .type = queued->type,
            .has_key = true,
            .key = kv_text_plain(queued->key, queued->key_size)};
        struct kv_fold_item item = {.pointer = queued->pointer,
                                    .type = queued->type,
                                    .command = &command};
        status = kv_keydir_apply(application->keydir, application->log, &item);
    }
    application->count = 0;
    return status;
}

static bool is_queueable(const struct kv_fold_item *item)
{
    const struct kv_text *key = &item->command->key;
    return (item->type == KV_COMMAND_SET || item->type == KV_COMMAND_REMOVE) &&
           key->form == KV_TEXT_PLAIN && key->size >= 1 &&
           key->size <= QUEUED_KEY_SIZE_MAX;
}

static kvstore_status apply_item(void *context, const struct kv_fold_item *item)
{
    struct application *application = context;
    kvstore_status status = KVSTORE_OK;
    bool is_queued = is_queueable(item);
    if (application->count == QUEUE_SIZE || !is_queued) {
        status = apply_queue(application);
    }
    if (item->bytes != NULL) {
        application->last = item->pointer;
    }
    if (status != KVSTORE_OK || !is_queued) {
        return status == KVSTORE_OK ? kv_keydir_apply(application->keydir,
                                                      application->log,
                                                      item)
                                    : status;
    }
    const struct kv_text *key = &item->command->key;
    struct queued *queued = &application->queue[application->count++];
    queued->pointer = item->pointer;
    queued->type = item->type;
    queued->key_size = key->size;
    memcpy(queued->key, key->raw, key->size);
    const struct kv_index *index = &application->keydir->index;
    kv_index_prefetch(index, kv_index_hash(index, key->raw, key->size));
    return KVSTORE_OK;
}

kvstore_status kv_recovery_catch_up(const struct kv_log *log,
                                    uint64_t size,
                                    struct kv_keydir *keydir,
                                    struct kv_fold_result *result_out)
{
    const struct kv_index_totals *totals = &keydir->totals;
    struct kv_fold_range range = {.offset = totals->applied,
                                  .end = size,
                                  .follows_damage =
                                      totals->follows_damage != 0};
    struct application application = {.keydir = keydir, .log = log};
    assert(totals->applied <= size);
    kvstore_status status =
        kv_fold(log, range, apply_item, &application, result_out);
    if (status == KVSTORE_OK) {
        status = apply_queue(&application);
    }
    if (status == KVSTORE_OK && application.last.length != 0) {
        status = kv_keydir_note_last(keydir, log, application.last);
    }
    return status;
}

/* A guess at how many keys a log holds, from how many newlines some places of it
 * have: half as many as there are lines, since more than half is seldom stale.
 * An index for fewer keys grows on the way; one for more would be too large. */
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
    *key_count_out = looked_at == 0 ? 0 : size / looked_at * newlines / 2;
    return KVSTORE_OK;
}

kvstore_status kv_recovery_build(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_io_file *directory,
                                 struct kv_keydir *keydir_out,
                                 struct kv_fold_result *result_out)
{
    *keydir_out = KV_KEYDIR_NONE;
    struct kv_keydir keydir;
    uint64_t key_count = 0;
    kvstore_status status = guess_keys(log, size, &key_count);
    if (status == KVSTORE_OK) {
        status = kv_keydir_create(key_count, directory, log, &keydir);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_recovery_catch_up(log, size, &keydir, result_out);
    if (status != KVSTORE_OK) {
        kv_keydir_release(&keydir);
        return status;
    }
    *keydir_out = keydir;
    return KVSTORE_OK;
}

/* --- Mending the end of the log --- */

static kvstore_status copy_bytes(const struct kv_io_file *from,
                                 uint64_t offset,
                                 uint64_t end,
                                 const struct kv_io_file *to)
{
    char *buffer = kv_io_allocate(COPY_SIZE);
    if (buffer == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kvstore_status status = KVSTORE_OK;
    uint64_t done = 0;
    while (status == KVSTORE_OK && offset + done < end) {
        uint64_t left = end - offset - done;
        size_t wanted = left < COPY_SIZE ? (size_t)left : COPY_SIZE;
        size_t part = 0;
        status = kv_io_read(from, offset + done, buffer, wanted, &part);
        if (status == KVSTORE_OK && part == 0) {
            break;
        }
        if (status == KVSTORE_OK) {
            status = kv_io_write(to, done, buffer, part);
        }
        done += part;
    }
    kv_io_free(buffer);
    return status;
}

/* Creates store.log.cut-<offset>, or, where that name is taken, the same with
 * -1, -2 and so on behind it. */
static kvstore_status create_cut_file(const struct kv_io_file *directory,
                                      uint64_t offset,
                                      char *name,
                                      size_t name_size,
                                      struct kv_io_file *file_out)
{
    kvstore_status status = KVSTORE_IO;
    for (int i = 0; i < CUT_NAMES_MAX; i++) {
        (void)snprintf(name,
                       name_size,
                       i == 0 ? KV_LOG_NAME ".cut-%" PRIu64
                              : KV_LOG_NAME ".cut-%" PRIu64 "-%d",
                       offset,
                       i);
        status = kv_io_open(directory, name, KV_IO_CREATE_NEW, file_out);
        if (status == KVSTORE_OK ||
            kvstore_last_error()->system_errno != EEXIST) {
            break;
        }
    }
    return status;
}

static kvstore_status save_cut(const struct kv_log *log,
                               const struct kv_io_file *directory,
                               uint64_t offset,
                               uint64_t end)
{
    char name[64];
    struct kv_io_file file = KV_IO_FILE_NONE;
    struct kv_io_stat model;
    kvstore_status status = kv_io_stat(&log->file, &model);
    if (status == KVSTORE_OK) {
        status = create_cut_file(directory, offset, name, sizeof name, &file);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_io_adopt(&file, &model);
    if (status == KVSTORE_OK) {
        status = copy_bytes(&log->file, offset, end, &file);
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

/* Can the tail be one write that was not finished? That is a line without its
 * newline, or one with holes. White space behind it changes nothing. */
static kvstore_status is_unfinished_line(const struct kv_log *log,
                                         uint64_t offset,
                                         uint64_t end,
                                         bool *is_unfinished_out)
{
    bool is_behind_newline = false;
    bool has_holes = false;
    bool has_second_line = false;
    char bytes[4096];
    while (offset < end && !has_second_line) {
        size_t part = 0;
        kvstore_status status =
            kv_io_read(&log->file, offset, bytes, sizeof bytes, &part);
        if (status != KVSTORE_OK) {
            return status;
        }
        for (size_t i = 0; i < part; i++) {
            has_second_line |=
                is_behind_newline && memchr(" \t\r\n", bytes[i], 4) == NULL;
            is_behind_newline |= bytes[i] == '\n';
            has_holes |= bytes[i] == '\0';
        }
        if (part == 0) {
            break;
        }
        offset += part;
    }
    *is_unfinished_out = !has_second_line && (has_holes || !is_behind_newline);
    return KVSTORE_OK;
}

static kvstore_status cut_tail(const struct kv_log *log,
                               const struct kv_io_file *directory,
                               uint64_t offset,
                               uint64_t end)
{
    bool is_unfinished = false;
    kvstore_status status =
        is_unfinished_line(log, offset, end, &is_unfinished);
    if (status == KVSTORE_OK && !is_unfinished) {
        status = save_cut(log, directory, offset, end);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_truncate(&log->file, offset);
    }
    return status;
}

kvstore_status kv_recovery_settle(const struct kv_log *log,
                                  const struct kv_io_file *directory,
                                  uint64_t size,
                                  const struct kv_fold_result *result)
{
    if (result->is_torn) {
        return cut_tail(log, directory, result->offset, size);
    }
    if (result->is_unterminated) {
        assert(result->offset == size + 1);
        return kv_io_write(&log->file, size, "\n", 1);
    }
    return KVSTORE_OK;
}
