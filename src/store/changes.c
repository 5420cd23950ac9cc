/* SPDX-License-Identifier: MIT */

/* Invariants:
 * 1. What is noted lies before the place, and what is not, past it: a piece that
 *    is given up has moved nothing.
 * 2. A batch may be in several pieces. Before its first change is given out, it
 *    is known how many follow: those past the piece are counted by a fold of
 *    their own, once for each batch.
 * 3. A piece takes bounded memory, however long lines and batches are. */

#include "store/changes.h"

#include "index/table.h"
#include "log/fold.h"
#include "log/line.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/text.h"

#include <assert.h>
#include <string.h>

/* A piece is full with so many changes, or bytes of keys and values. A longer
 * value stays in the log until it is taken. Tests set smaller ones. */
#ifndef KV_CHANGES_COUNT_MAX
#define KV_CHANGES_COUNT_MAX ((size_t)16384)
#define KV_CHANGES_SIZE_MAX ((size_t)1 << 20)
#define KV_CHANGES_VALUE_MAX ((size_t)64 << 10)
#endif

#define CHANGE_NOTES_MIN ((size_t)16)
#define CHANGE_BYTES_MIN ((size_t)512)

struct kv_changes_note {
    struct kv_log_pointer pointer;
    size_t key_at; /* In the bytes. */
    size_t key_size;
    size_t value_at;
    size_t value_size;
    int64_t expires_ms;
    int kind;
    kvstore_status status;
    bool has_value; /* It is in the bytes, */
    bool is_large;  /* or in the log. */
    uint32_t batch; /* Its number; 0: in none. */
    uint64_t batch_left;
};

/* --- Memory --- */

static void *enlarge(void *old, size_t old_size, size_t size)
{
    void *larger = kv_io_allocate(size);
    if (larger != NULL) {
        if (old_size > 0) {
            memcpy(larger, old, old_size);
        }
        kv_io_free(old);
    }
    return larger;
}

static kvstore_status make_note_room(struct kv_changes *changes)
{
    if (changes->count < changes->capacity) {
        return KVSTORE_OK;
    }
    size_t capacity =
        changes->capacity == 0 ? CHANGE_NOTES_MIN : changes->capacity * 2;
    struct kv_changes_note *notes = enlarge(changes->notes,
                                            changes->count * sizeof *notes,
                                            capacity * sizeof *notes);
    if (notes == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    changes->notes = notes;
    changes->capacity = capacity;
    return KVSTORE_OK;
}

/* Decodes a text into the bytes, and a NUL after it, which are not counted as
 * used yet. */
static kvstore_status decode_text(struct kv_changes *changes,
                                  const struct kv_text *text,
                                  uint64_t offset)
{
    size_t needed = changes->bytes_used + text->size + 1;
    if (needed > changes->bytes_capacity) {
        size_t capacity = changes->bytes_capacity == 0
                              ? CHANGE_BYTES_MIN
                              : changes->bytes_capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *bytes = enlarge(changes->bytes, changes->bytes_used, capacity);
        if (bytes == NULL) {
            return KVSTORE_NO_MEMORY;
        }
        changes->bytes = bytes;
        changes->bytes_capacity = capacity;
    }
    char *at = changes->bytes + changes->bytes_used;
    at[text->size] = '\0';
    return text->size == 0 || kv_text_decode(text, at)
               ? KVSTORE_OK
               : kv_fail_at(KVSTORE_CORRUPT,
                            offset,
                            "%s was changed under a running program",
                            KV_LOG_NAME);
}

/* --- What matters --- */

static bool has_prefix(const struct kv_changes *changes,
                       const char *key,
                       size_t size)
{
    return size >= changes->prefix_size &&
           (changes->prefix_size == 0 ||
            memcmp(key, changes->prefix, changes->prefix_size) == 0);
}

/* has_key_out: the item's key begins with the prefix. It has been decoded into
 * the bytes, if that was needed or is wanted. */
static kvstore_status match_key(struct kv_changes *changes,
                                const struct kv_fold_item *item,
                                bool wants_key,
                                bool *has_key_out)
{
    const struct kv_text *key = &item->record->key;
    *has_key_out = false;
    if (!kv_index_is_indexed(item)) {
        return KVSTORE_OK;
    }
    if (key->form == KV_TEXT_PLAIN) {
        *has_key_out = has_prefix(changes, key->raw, key->size);
        if (!*has_key_out || !wants_key) {
            return KVSTORE_OK;
        }
    }
    kvstore_status status = decode_text(changes, key, item->pointer.offset);
    *has_key_out =
        status == KVSTORE_OK &&
        has_prefix(changes, changes->bytes + changes->bytes_used, key->size);
    return status;
}

/* True if no other record, or damage, of the key of an item comes after it up to
 * the end of a state; and it does not say that the key is gone, nor has
 * expired. */
static bool is_of_state(struct kv_changes *changes,
                        const struct kv_fold_item *item)
{
    if (changes->state == NULL) {
        return true;
    }
    const struct kv_table *table = &changes->state->table;
    struct kv_table_hash hash = kv_table_hash(
        table, changes->bytes + changes->bytes_used, item->record->key.size);
    uint64_t newest = 0;
    for (int is_damage = 0; is_damage <= 1; is_damage++) {
        struct kv_table_slot slot = kv_table_get(table, hash, is_damage != 0);
        if (slot.tag != 0) {
            uint64_t offset = kv_table_entry_of(slot).pointer.offset;
            newest = offset > newest ? offset : newest;
        }
    }
    return newest == item->pointer.offset && item->type != KV_RECORD_REMOVE &&
           (item->type != KV_RECORD_SET ||
            kv_expiry_is_live(&changes->expiry, item->record));
}

/* --- Noting --- */

/* A record of a batch that is whole; others are damage. */
static uint32_t batch_of(const struct kv_fold_item *item)
{
    return item->type == KV_RECORD_DAMAGED ? 0 : item->record->batch;
}

static kvstore_status note_value(struct kv_changes *changes,
                                 const struct kv_fold_item *item,
                                 struct kv_changes_note *note)
{
    const struct kv_text *value = &item->record->value;
    note->expires_ms = item->record->expires_ms;
    if (value->size > KV_VALUE_SIZE_MAX) {
        note->status = KVSTORE_TOO_LARGE;
        return KVSTORE_OK;
    }
    if (changes->is_keys_only) {
        return KVSTORE_OK;
    }
    note->value_at = changes->bytes_used;
    note->value_size = value->size;
    note->is_large = value->size > KV_CHANGES_VALUE_MAX;
    note->has_value = !note->is_large;
    if (note->is_large) {
        return KVSTORE_OK;
    }
    kvstore_status status = decode_text(changes, value, item->pointer.offset);
    changes->bytes_used += value->size + 1;
    return status;
}

/* The item's key is past the bytes that are used. */
static kvstore_status add_note(struct kv_changes *changes,
                               const struct kv_fold_item *item)
{
    kvstore_status status = make_note_room(changes);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_changes_note note = {
        .pointer = item->pointer,
        .key_at = changes->bytes_used,
        .key_size = item->record->key.size,
        .kind = KVSTORE_CHANGE_SET,
        .batch = batch_of(item) == 0 ? 0 : changes->batch};
    changes->bytes_used += note.key_size + 1;
    switch (item->type) {
    case KV_RECORD_SET:
        status = note_value(changes, item, &note);
        break;
    case KV_RECORD_REMOVE:
        note.kind = KVSTORE_CHANGE_REMOVE;
        note.status = KVSTORE_NOT_FOUND;
        break;
    case KV_RECORD_UNKNOWN:
        note.status = KVSTORE_UNSUPPORTED;
        break;
    default:
        note.status = KVSTORE_CORRUPT;
        break;
    }
    changes->notes[changes->count++] = note;
    return status;
}

static kvstore_status note_change(void *context,
                                  const struct kv_fold_item *item)
{
    struct kv_changes *changes = context;
    struct kv_changes_place *place = &changes->place;
    bool has_key = false;
    uint32_t batch = batch_of(item);
    if (batch != 0 && place->batch_next == 0) {
        changes->batch++;
    }
    kvstore_status status = match_key(changes, item, true, &has_key);
    if (status == KVSTORE_OK && has_key && is_of_state(changes, item)) {
        status = add_note(changes, item);
    }
    place->batch_next = batch == 0 ? 0 : batch - 1;
    kv_changes_pass(place, item);
    changes->is_full = changes->count >= KV_CHANGES_COUNT_MAX ||
                       changes->bytes_used >= KV_CHANGES_SIZE_MAX;
    return status;
}

/* --- Batches --- */

/* What is left of a batch past a piece. */
struct rest {
    struct kv_changes *changes;
    uint64_t count;
    bool is_over;
};

static kvstore_status count_change(void *context,
                                   const struct kv_fold_item *item)
{
    struct rest *rest = context;
    bool has_key = false;
    uint32_t batch = batch_of(item);
    rest->is_over = batch <= 1;
    if (batch == 0) {
        return KVSTORE_OK;
    }
    kvstore_status status = match_key(rest->changes, item, false, &has_key);
    rest->count += has_key ? 1 : 0;
    return status;
}

static kvstore_status count_rest(struct kv_changes *changes,
                                 const struct kv_log *log,
                                 uint64_t end,
                                 uint64_t *count_out)
{
    struct rest rest = {.changes = changes};
    struct kv_fold_range range = {.offset = changes->place.offset,
                                  .end = end,
                                  .follows = changes->place.follows,
                                  .judged = changes->place.judged,
                                  .is_over = &rest.is_over};
    struct kv_fold_result result;
    kvstore_status status = kv_fold(log, range, count_change, &rest, &result);
    *count_out = rest.count;
    return status;
}

static uint64_t less(uint64_t count, uint64_t taken)
{
    return count > taken ? count - taken : 0;
}

/* Says of each change noted how many more are of its batch, which is open at the
 * end of the piece if the place is amid it (Invariant 2). before: the place at
 * the piece's beginning. */
static kvstore_status settle_batches(struct kv_changes *changes,
                                     const struct kv_changes_place *before,
                                     uint32_t first_batch,
                                     const struct kv_log *log,
                                     uint64_t end)
{
    struct kv_changes_place *place = &changes->place;
    uint64_t left = 0;
    uint32_t batch = 0;
    if (changes->state != NULL) {
        return KVSTORE_OK; /* Each key by itself. */
    }
    if (place->batch_next != 0) {
        batch = changes->batch;
        bool is_known = before->batch_next != 0 && batch == first_batch;
        kvstore_status status =
            is_known ? KVSTORE_OK : count_rest(changes, log, end, &left);
        if (status != KVSTORE_OK) {
            return status;
        }
        left = is_known ? less(before->batch_count, changes->count) : left;
        place->batch_count = left;
    }
    for (size_t i = changes->count; i > 0; i--) {
        struct kv_changes_note *note = &changes->notes[i - 1];
        left = note->batch != batch ? 0 : left;
        batch = note->batch;
        note->batch_left = batch == 0 ? 0 : left++;
    }
    return KVSTORE_OK;
}

/* --- Reading --- */

static void forget(struct kv_changes *changes)
{
    changes->count = 0;
    changes->taken = 0;
    changes->bytes_used = 0;
    changes->is_full = false;
}

kvstore_status kv_changes_read(struct kv_changes *changes,
                               const struct kv_log *log,
                               uint64_t end)
{
    assert(!kv_changes_are_left(changes) && changes->place.offset <= end);
    struct kv_changes_place before = changes->place;
    uint32_t batch = changes->batch;
    struct kv_fold_range range = {.offset = before.offset,
                                  .end = end,
                                  .follows = before.follows,
                                  .judged = before.judged,
                                  .is_over = &changes->is_full};
    struct kv_fold_result result;
    forget(changes);
    kvstore_status status = kv_fold(log, range, note_change, changes, &result);
    if (status == KVSTORE_OK) {
        changes->place.offset = result.offset;
        changes->place.follows = result.follows;
        changes->place.judged = result.judged;
        status = settle_batches(changes, &before, batch, log, end);
    }
    if (status != KVSTORE_OK) {
        forget(changes);
        changes->place = before;
        changes->batch = batch;
    }
    return status;
}

/* --- Taking --- */

/* Decodes a large value, if its line is still the one that was noted. */
static kvstore_status decode_large(const struct kv_changes_note *note,
                                   const struct kv_record *record,
                                   const char *key,
                                   char **value_out)
{
    if (record->type != KV_RECORD_SET ||
        record->value.size != note->value_size ||
        !kv_text_equals(&record->key, key, note->key_size)) {
        return KVSTORE_OK;
    }
    char *value = kv_io_allocate(note->value_size + 1);
    if (value == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    value[note->value_size] = '\0';
    if (!kv_text_decode(&record->value, value)) {
        kv_io_free(value);
        return KVSTORE_OK;
    }
    *value_out = value;
    return KVSTORE_OK;
}

/* value_out: NULL if the line is not what it was. */
static kvstore_status read_large(const struct kv_changes *changes,
                                 const struct kv_log *log,
                                 const struct kv_changes_note *note,
                                 char **value_out)
{
    struct kv_log_line line;
    struct kv_record record;
    bool is_there = false;
    *value_out = NULL;
    kvstore_status status =
        kv_log_read_record(log, note->pointer, &line, &is_there);
    if (status != KVSTORE_OK || !is_there) {
        return status;
    }
    status = kv_record_decode(line.bytes, line.size, &record);
    if (status == KVSTORE_OK) {
        status = decode_large(
            note, &record, changes->bytes + note->key_at, value_out);
        kv_record_release(&record);
    }
    kv_log_line_release(&line);
    return status;
}

kvstore_status kv_changes_take(struct kv_changes *changes,
                               const struct kv_log *log,
                               kvstore_change *change,
                               kvstore_entry *entry,
                               bool *is_there_out)
{
    assert(kv_changes_are_left(changes));
    const struct kv_changes_note *note = &changes->notes[changes->taken];
    kv_io_free(changes->value);
    changes->value = NULL;
    if (note->is_large) {
        kvstore_status status = read_large(changes, log, note, &changes->value);
        *is_there_out = changes->value != NULL;
        if (status != KVSTORE_OK || !*is_there_out) {
            return status;
        }
    }
    *is_there_out = true;
    changes->taken++;
    *entry = (kvstore_entry){.key = changes->bytes + note->key_at,
                             .key_size = note->key_size,
                             .value_size = note->value_size,
                             .expires_ms = note->expires_ms,
                             .status = note->status};
    if (note->is_large) {
        entry->value = changes->value;
    } else if (note->has_value) {
        entry->value = changes->bytes + note->value_at;
    }
    *change = (kvstore_change){.kind = note->kind,
                               .batch_left = note->batch_left > UINT32_MAX
                                                 ? UINT32_MAX
                                                 : (uint32_t)note->batch_left,
                               .entry = entry};
    return KVSTORE_OK;
}

void kv_changes_go_to(struct kv_changes *changes,
                      const struct kv_changes_place *place)
{
    forget(changes);
    changes->place = *place;
}

void kv_changes_release(struct kv_changes *changes)
{
    kv_io_free(changes->notes);
    kv_io_free(changes->bytes);
    kv_io_free(changes->value);
    changes->notes = NULL;
    changes->bytes = NULL;
    changes->value = NULL;
}
