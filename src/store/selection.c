/* SPDX-License-Identifier: MIT */

/* A selection: one fold up to an end that was known at the beginning, so it is
 * as if nothing were written meanwhile. The index is not asked: it moves on
 * during the fold. What the fold meets of a key is noted. */

#include "store/selection.h"

#include "index/index.h"
#include "log/skip.h"
#include "os/bounds.h"
#include "os/system.h"
#include "record/names.h"
#include "record/record.h"
#include "record/text.h"
#include "store/note.h"

#include <assert.h>
#include <string.h>

/* --- The range --- */

static int compare_keys(const char *key,
                        size_t size,
                        const void *bound,
                        size_t bound_size)
{
    int order = memcmp(key, bound, size < bound_size ? size : bound_size);
    return order != 0 || size == bound_size ? order
           : size < bound_size              ? -1
                                            : 1;
}

static bool is_in_range(const kvstore_range *range,
                        const char *key,
                        size_t size)
{
    if (range->prefix_size > 0 &&
        (size < range->prefix_size ||
         memcmp(key, range->prefix, range->prefix_size) != 0)) {
        return false;
    }
    return (range->from_size == 0 ||
            compare_keys(key, size, range->from, range->from_size) >= 0) &&
           (range->to_size == 0 ||
            compare_keys(key, size, range->to, range->to_size) < 0);
}

static bool is_of_all(const kvstore_range *range)
{
    return range == NULL || (range->prefix_size == 0 && range->from_size == 0 &&
                             range->to_size == 0);
}

/* --- Notes --- */

/* What the line says of its key. */
static enum kv_note_kind kind_of(struct kv_selection *selection,
                                 const struct kv_fold_item *item)
{
    switch (item->type) {
    case KV_RECORD_SET:
        return !kv_expiry_is_live(&selection->expiry, item->record)
                   ? KV_NOTE_GONE
               : item->record->expires_ms != 0 ? KV_NOTE_EXPIRING_SET
                                               : KV_NOTE_SET;
    case KV_RECORD_REMOVE:
        return KV_NOTE_GONE;
    case KV_RECORD_UNKNOWN:
        return KV_NOTE_NEWER;
    case KV_RECORD_BLANK:
    case KV_RECORD_DAMAGED:
        break;
    }
    return KV_NOTE_DAMAGED;
}

/* Where the key is in the line. */
static enum kv_note_form form_of(const struct kv_fold_item *item)
{
    const struct kv_text *key = &item->record->key;
    if (item->bytes == NULL) {
        return KV_NOTE_CUT;
    }
    if (key->form != KV_TEXT_PLAIN || item->record->owned != NULL) {
        return KV_NOTE_OTHER;
    }
    if (key->raw == item->bytes + sizeof(SET_HEAD KEY_NAME) - 1) {
        return KV_NOTE_PLAIN_SET;
    }
    return key->raw == item->bytes + sizeof(REMOVE_HEAD KEY_NAME) - 1
               ? KV_NOTE_PLAIN_REMOVE
               : KV_NOTE_OTHER;
}

/* Finds the bytes of a key. */
static kvstore_status find_key_bytes(struct kv_selection *selection,
                                     const struct kv_fold_item *item,
                                     const char **key_out)
{
    const struct kv_text *text = &item->record->key;
    if (text->form == KV_TEXT_PLAIN) {
        *key_out = text->raw;
        return KVSTORE_OK;
    }
    if (selection->key == NULL) {
        selection->key = kv_io_allocate(KV_KEY_SIZE_MAX);
        if (selection->key == NULL) {
            return KVSTORE_NO_MEMORY;
        }
    }
    *key_out = selection->key;
    return kv_text_decode(text, selection->key)
               ? KVSTORE_OK
               : kv_note_fail_changed(item->pointer.offset);
}

static kvstore_status note_item(void *context, const struct kv_fold_item *item)
{
    struct kv_selection *selection = context;
    bool is_record =
        item->type == KV_RECORD_SET || item->type == KV_RECORD_REMOVE;
    selection->has_damage |=
        item->type == KV_RECORD_DAMAGED || item->type == KV_RECORD_UNKNOWN;
    if (!kv_index_is_indexed(item) ||
        (selection->is_of_records && !is_record)) {
        return KVSTORE_OK;
    }
    const char *key = NULL;
    size_t size = item->record->key.size;
    kvstore_status status = find_key_bytes(selection, item, &key);
    if (status != KVSTORE_OK || (selection->range != NULL &&
                                 !is_in_range(selection->range, key, size))) {
        return status;
    }
    struct kv_note note = kv_note_of(
        item->pointer.offset, form_of(item), kind_of(selection, item));
    return kv_notes_add(&selection->notes, note, key, size);
}

/* --- The fold --- */

static kvstore_status fold_log(struct kv_selection *selection,
                               const struct kv_log_skip *skip,
                               struct kv_fold_result *result_out)
{
    struct kv_fold_range range = {
        .end = selection->end, .progress = selection->progress, .skip = skip};
    return kv_fold(selection->log, range, note_item, selection, result_out);
}

/* Folds without the lines that cannot matter. */
static kvstore_status fold_for_prefix(struct kv_selection *selection,
                                      struct kv_fold_result *result_out)
{
    const kvstore_range *range = selection->range;
    struct kv_log_skip skip = {.size = 0};
    if (range != NULL) {
        skip = kv_log_skip_for(range->prefix, range->prefix_size);
    }
    kvstore_status status =
        fold_log(selection, skip.size == 0 ? NULL : &skip, result_out);
    if (status == KVSTORE_OK && result_out->is_unsure) {
        kv_notes_clear(&selection->notes);
        status = fold_log(selection, NULL, result_out);
    }
    return status;
}

kvstore_status kv_selection_make(struct kv_selection *selection)
{
    assert(selection->log->file.fd >= 0);
    struct kv_fold_result result;
    selection->notes.log = selection->log;
    selection->notes.end = selection->end;
    selection->notes.may_map = selection->may_map;
    selection->notes.expected =
        is_of_all(selection->range) ? selection->key_count : 0;
    selection->notes.keeps_gone = selection->is_of_records;
    kvstore_status status = fold_for_prefix(selection, &result);
    selection->folded = result.offset;
    /* A tail that looks torn was whole once: it is as unreadable as for a
     * get. */
    if (status == KVSTORE_OK && !result.is_torn &&
        result.offset != selection->end) {
        status = kv_note_fail_changed(result.offset);
    }
    return status == KVSTORE_OK ? kv_notes_settle(&selection->notes) : status;
}

void kv_selection_release(struct kv_selection *selection)
{
    kv_notes_release(&selection->notes);
    kv_io_free(selection->key);
    selection->key = NULL;
}
