/* SPDX-License-Identifier: MIT */

/* Reads entries: the line that a note leads to once more, since only the first
 * bytes of its key are in memory. */

#include "store/entry.h"

#include "log/line.h"
#include "log/map.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/record.h"
#include "record/text.h"

#include <string.h>

/* What is kept from one entry to the next. */
#define KEPT_MEMORY_SIZE ((size_t)1 << 20)

static kvstore_status make_room_for(struct kv_entry_memory *memory, size_t size)
{
    bool is_too_large =
        memory->capacity > KEPT_MEMORY_SIZE && size <= KEPT_MEMORY_SIZE;
    if (size <= memory->capacity && !is_too_large) {
        return KVSTORE_OK;
    }
    size_t capacity = size < KV_NOTE_KEY_ROOM ? KV_NOTE_KEY_ROOM : size;
    char *bytes = kv_io_allocate(capacity);
    if (bytes == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    kv_io_free(memory->bytes);
    *memory = (struct kv_entry_memory){.bytes = bytes, .capacity = capacity};
    return KVSTORE_OK;
}

/* Sets the error of a key that cannot be served. */
static kvstore_status refuse_key(const struct kv_note *note)
{
    uint64_t offset = kv_note_offset(note);
    return kv_note_kind(note) == KV_NOTE_NEWER
               ? kv_fail_at(KVSTORE_UNSUPPORTED,
                            offset,
                            "the key's record was written by a newer version")
               : kv_fail_at(KVSTORE_CORRUPT,
                            offset,
                            "the key's newest line in %s is damaged",
                            KV_LOG_NAME);
}

static kvstore_status read_key_alone(const struct kv_selection *selection,
                                     const struct kv_note *note,
                                     struct kv_entry_memory *memory,
                                     kvstore_entry *entry)
{
    kvstore_status status = make_room_for(memory, KV_NOTE_KEY_ROOM);
    if (status == KVSTORE_OK) {
        status = kv_notes_read_key(
            &selection->notes, note, memory->bytes, &entry->key_size);
    }
    if (status == KVSTORE_OK) {
        entry->key = memory->bytes;
    }
    return status;
}

/* Copies the key, and the value if there is one to be served. */
static kvstore_status take_record(const struct kv_selection *selection,
                                  const struct kv_note *note,
                                  const struct kv_record *record,
                                  struct kv_entry_memory *memory,
                                  kvstore_entry *entry)
{
    size_t key_size = record->has_key ? record->key.size : 0;
    bool has_value = record->type == KV_RECORD_SET && entry->value != NULL &&
                     record->value.size <= KV_VALUE_SIZE_MAX;
    size_t value_size = has_value ? record->value.size : 0;
    if (key_size == 0 || key_size > KV_KEY_SIZE_MAX) {
        return kv_note_fail_changed(kv_note_offset(note));
    }
    kvstore_status status = make_room_for(memory, key_size + value_size + 1);
    if (status != KVSTORE_OK) {
        return status;
    }
    char *key = memory->bytes;
    char *value = key + key_size;
    value[value_size] = '\0';
    if (!kv_text_decode(&record->key, key) ||
        (value_size > 0 && !kv_text_decode(&record->value, value)) ||
        !kv_note_has_key(&selection->notes.base, note, key, key_size)) {
        return kv_note_fail_changed(kv_note_offset(note));
    }
    entry->key = key;
    entry->key_size = key_size;
    entry->value = has_value ? value : NULL;
    entry->value_size = value_size;
    return KVSTORE_OK;
}

static kvstore_status judge_record(const struct kv_note *note,
                                   const struct kv_record *record)
{
    if (record->type != KV_RECORD_SET) {
        return refuse_key(note); /* It has rotted since. */
    }
    return record->value.size > KV_VALUE_SIZE_MAX
               ? kv_fail(KVSTORE_TOO_LARGE,
                         "the value has %zu bytes, more than %u",
                         record->value.size,
                         KVSTORE_VALUE_SIZE_MAX)
               : KVSTORE_OK;
}

static kvstore_status take_set(const struct kv_selection *selection,
                               const struct kv_note *note,
                               const struct kv_record *record,
                               struct kv_entry_memory *memory,
                               kvstore_entry *entry)
{
    kvstore_status status = take_record(selection, note, record, memory, entry);
    if (status == KVSTORE_OK) {
        entry->status = judge_record(note, record);
        entry->expires_ms =
            record->type == KV_RECORD_SET ? record->expires_ms : 0;
    }
    return status;
}

/* Most lines are in memory, sound and canonical: the decoder finds the end of
 * these. */
static bool find_mapped_set(const struct kv_selection *selection,
                            uint64_t offset,
                            struct kv_record *record_out)
{
    const struct kv_log *log = selection->log;
    uint64_t count = 0;
    const char *bytes =
        log->map == NULL || offset >= selection->end
            ? NULL
            : kv_log_map_find(log->map, &log->file, offset, &count);
    uint64_t left = selection->end - offset;
    return bytes != NULL &&
           kv_record_decode_ahead(
               bytes, (size_t)(count < left ? count : left), record_out) != 0;
}

static kvstore_status read_set(const struct kv_selection *selection,
                               const struct kv_note *note,
                               struct kv_entry_memory *memory,
                               kvstore_entry *entry)
{
    uint64_t offset = kv_note_offset(note);
    struct kv_log_line line;
    struct kv_record record;
    if (find_mapped_set(selection, offset, &record)) {
        return take_set(selection, note, &record, memory, entry);
    }
    kvstore_status status =
        kv_log_read_line(selection->log, offset, selection->end, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_record_decode(line.bytes, line.size, &record);
    if (status == KVSTORE_OK) {
        status = take_set(selection, note, &record, memory, entry);
        kv_record_release(&record);
    }
    kv_log_line_release(&line);
    return status;
}

kvstore_status kv_entry_read(const struct kv_selection *selection,
                             const struct kv_note *note,
                             bool is_key_only,
                             struct kv_entry_memory *memory,
                             kvstore_entry *entry_out)
{
    enum kv_note_kind kind = kv_note_kind(note);
    *entry_out = (kvstore_entry){.value = is_key_only ? NULL : ""};
    if (kind == KV_NOTE_EXPIRING_SET || (kind == KV_NOTE_SET && !is_key_only)) {
        return read_set(selection, note, memory, entry_out);
    }
    entry_out->value = NULL;
    kvstore_status status = read_key_alone(selection, note, memory, entry_out);
    if (status == KVSTORE_OK && kind != KV_NOTE_SET) {
        entry_out->status = refuse_key(note);
    }
    return status;
}
