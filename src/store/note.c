/* SPDX-License-Identifier: MIT */

/* Notes: their heads, and the keys that they lead to. */

#include "store/note.h"

#include "log/cursor.h"
#include "log/line.h"
#include "log/map.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/file.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/names.h"

#include <assert.h>
#include <string.h>

static_assert(KV_OFFSET_MAX < UINT64_C(1) << 40, "an offset fits a place");

/* --- Heads --- */

static uint64_t load_number(const char *bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof number; i++) {
        number = number << 8 | (unsigned char)bytes[i];
    }
    return number;
}

static void store_number(uint64_t number, char *bytes)
{
    for (size_t i = sizeof number; i > 0; i--) {
        bytes[i - 1] = (char)(unsigned char)(number & 0xff);
        number >>= 8;
    }
}

static void set_head(struct kv_note *note,
                     const char head[KV_NOTE_HEAD_SIZE],
                     size_t covered)
{
    uint64_t known = covered > KV_NOTE_HEAD_SIZE ? KV_NOTE_GOES_ON : covered;
    note->head[0] = load_number(head);
    note->head[1] = load_number(head + sizeof note->head[0]);
    note->place = (note->place & ~(UINT64_C(31) << 59)) | known << 59;
}

static void set_rest(struct kv_note *note, const char *rest, size_t size)
{
    if (size >= KV_NOTE_HEAD_SIZE) {
        set_head(note, rest, size);
        return;
    }
    char head[KV_NOTE_HEAD_SIZE] = {0};
    memcpy(head, rest, size);
    set_head(note, head, size);
}

/* Puts bytes of the base, which becomes so much shorter, before a head. */
static void lengthen_head(struct kv_note *note, const char *bytes, size_t size)
{
    char head[2 * KV_NOTE_HEAD_SIZE];
    size_t part = size < KV_NOTE_HEAD_SIZE ? size : KV_NOTE_HEAD_SIZE;
    memcpy(head, bytes, part);
    store_number(note->head[0], head + part);
    store_number(note->head[1], head + part + sizeof note->head[0]);
    set_head(note, head, kv_note_covered(note) + size);
}

static size_t count_common(const char *a, const char *b, size_t size)
{
    size_t count = 0;
    while (count < size && a[count] == b[count]) {
        count++;
    }
    return count;
}

void kv_note_put_key(struct kv_note_base *base,
                     struct kv_note *notes,
                     size_t count,
                     const char *key,
                     size_t size)
{
    if (count == 0) {
        memcpy(base->bytes, key, size);
        base->size = size;
    }
    size_t most = base->size < size ? base->size : size;
    size_t common = count_common(base->bytes, key, most);
    for (size_t i = 0; common < base->size && i < count; i++) {
        lengthen_head(&notes[i], base->bytes + common, base->size - common);
    }
    base->size = common;
    set_rest(&notes[count], key + common, size - common);
}

bool kv_note_make_key(const struct kv_note_base *base,
                      const struct kv_note *note,
                      char *key_out,
                      size_t *size_out)
{
    char head[KV_NOTE_HEAD_SIZE];
    size_t covered = kv_note_covered(note);
    if (covered > KV_NOTE_HEAD_SIZE) {
        return false;
    }
    store_number(note->head[0], head);
    store_number(note->head[1], head + sizeof note->head[0]);
    memcpy(key_out, base->bytes, base->size);
    memcpy(key_out + base->size, head, covered);
    *size_out = base->size + covered;
    return true;
}

bool kv_note_has_key(const struct kv_note_base *base,
                     const struct kv_note *note,
                     const char *key,
                     size_t size)
{
    struct kv_note other = {.place = 0};
    if (size < base->size || memcmp(key, base->bytes, base->size) != 0) {
        return false;
    }
    set_rest(&other, key + base->size, size - base->size);
    return kv_note_is_alike(note, &other);
}

/* --- Keys --- */

/* How much is read at first for a key. */
#define KEY_READ_SIZE ((size_t)256)

kvstore_status kv_note_fail_changed(uint64_t offset)
{
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "%s was changed under a running program",
                      KV_LOG_NAME);
}

/* Finds the quote after a key. */
static bool find_key_end(const char *key, size_t size, size_t *size_out)
{
    const char *quote = size == 0 ? NULL : memchr(key, '"', size);
    *size_out = quote == NULL ? 0 : (size_t)(quote - key);
    return *size_out > 0;
}

static kvstore_status read_plain_key(const struct kv_log *log,
                                     uint64_t end,
                                     uint64_t offset,
                                     char *key_out,
                                     size_t *size_out)
{
    uint64_t left = offset < end ? end - offset : 0;
    size_t most = left < KV_NOTE_KEY_ROOM ? (size_t)left : KV_NOTE_KEY_ROOM;
    uint64_t count = 0;
    const char *mapped =
        log->map == NULL
            ? NULL
            : kv_log_map_find(log->map, &log->file, offset, &count);
    if (mapped != NULL &&
        find_key_end(mapped, count < most ? (size_t)count : most, size_out)) {
        memcpy(key_out, mapped, *size_out);
        return KVSTORE_OK;
    }
    size_t part = most < KEY_READ_SIZE ? most : KEY_READ_SIZE;
    for (;;) {
        size_t read = 0;
        kvstore_status status =
            kv_io_read(&log->file, offset, key_out, part, &read);
        if (status != KVSTORE_OK || find_key_end(key_out, read, size_out)) {
            return status;
        }
        if (read < part || part == most) {
            return kv_note_fail_changed(offset);
        }
        part = most;
    }
}

static kvstore_status take_key(const struct kv_record *record,
                               uint64_t offset,
                               char *key_out,
                               size_t *size_out)
{
    *size_out = record->has_key ? record->key.size : 0;
    return *size_out > 0 && *size_out <= KV_KEY_SIZE_MAX &&
                   kv_text_decode(&record->key, key_out)
               ? KVSTORE_OK
               : kv_note_fail_changed(offset);
}

static kvstore_status decode_key(const struct kv_log *log,
                                 uint64_t end,
                                 uint64_t offset,
                                 char *key_out,
                                 size_t *size_out)
{
    struct kv_log_line line;
    struct kv_record record;
    kvstore_status status = kv_log_read_line(log, offset, end, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_record_decode(line.bytes, line.size, &record);
    if (status == KVSTORE_OK) {
        status = take_key(&record, offset, key_out, size_out);
        kv_record_release(&record);
    }
    kv_log_line_release(&line);
    return status;
}

static kvstore_status tell_cut_key(const struct kv_log *log,
                                   uint64_t offset,
                                   char *key_out,
                                   size_t *size_out)
{
    size_t count = 0;
    struct kv_record record;
    char *head = kv_io_allocate(KV_LOG_HEAD_SIZE);
    if (head == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kvstore_status status =
        kv_io_read(&log->file, offset, head, KV_LOG_HEAD_SIZE, &count);
    if (status == KVSTORE_OK) {
        kv_record_tell_key(head, count, &record);
        status = take_key(&record, offset, key_out, size_out);
    }
    kv_io_free(head);
    return status;
}

kvstore_status kv_note_read_key(const struct kv_log *log,
                                uint64_t end,
                                const struct kv_note *note,
                                char *key_out,
                                size_t *size_out)
{
    uint64_t offset = kv_note_offset(note);
    switch (kv_note_form(note)) {
    case KV_NOTE_PLAIN_SET:
        offset += sizeof(SET_HEAD KEY_NAME) - 1;
        break;
    case KV_NOTE_PLAIN_REMOVE:
        offset += sizeof(REMOVE_HEAD KEY_NAME) - 1;
        break;
    case KV_NOTE_OTHER:
        return decode_key(log, end, offset, key_out, size_out);
    case KV_NOTE_CUT:
        return tell_cut_key(log, offset, key_out, size_out);
    }
    return read_plain_key(log, end, offset, key_out, size_out);
}
