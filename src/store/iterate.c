/* SPDX-License-Identifier: MIT */

/* The calls that go through the keys in order: iterators, and the list. */

#include "kvstore.h"
#include "log/line.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/fork.h"
#include "os/system.h"
#include "store/entry.h"
#include "store/handle.h"
#include "store/members.h"
#include "store/note.h"
#include "store/ref.h"
#include "store/selection.h"
#include "store/snapshot.h"
#include "store/store.h"

#include <string.h>

/* How many keys ahead a line is fetched. */
#define FETCHED_KEYS ((size_t)8)

struct kvstore_iterator {
    struct kv_store_ref *ref;
    struct kv_fork_guard guard;
    struct kv_snapshot snapshot;
    struct kv_selection selection; /* Made. */
    size_t next;                   /* How many keys are behind it, */
    size_t count;                  /* of so many. */
    bool is_reverse;
    bool is_keys_only;
    struct kv_entry_memory memory;
    kvstore_entry entry;
};

/* --- Making it --- */

static bool is_given(const void *bytes, size_t size)
{
    return bytes != NULL || size == 0;
}

static kvstore_status check_range(const kvstore_range *range)
{
    if (!kv_members_are_known(range, range->size, sizeof *range) ||
        !kv_members_are_zero(range->reserved,
                             sizeof range->reserved /
                                 sizeof *range->reserved)) {
        return kv_fail(KVSTORE_INVALID, "a member is out of its bounds");
    }
    return is_given(range->prefix, range->prefix_size) &&
                   is_given(range->from, range->from_size) &&
                   is_given(range->to, range->to_size)
               ? KVSTORE_OK
               : kv_fail(KVSTORE_INVALID, "a prefix or a bound is NULL");
}

/* Takes the snapshot, and selects its keys. What both hold must be released,
 * also after a failure. */
static kvstore_status select_keys(const kvstore *store,
                                  const kvstore_range *range,
                                  struct kv_snapshot *snapshot,
                                  struct kv_selection *selection)
{
    kvstore_status status =
        kv_store_open_snapshot(kv_store_own(store), false, snapshot);
    if (status != KVSTORE_OK) {
        return status;
    }
    selection->log = &snapshot->log;
    selection->end = snapshot->end;
    selection->may_map = snapshot->may_map;
    selection->key_count = snapshot->key_count;
    selection->progress = &store->progress;
    selection->range = range;
    return kv_selection_make(selection);
}

static kvstore_status make(kvstore_iterator *iterator,
                           const kvstore *store,
                           const kvstore_range *range)
{
    kvstore_status status =
        select_keys(store, range, &iterator->snapshot, &iterator->selection);
    if (status != KVSTORE_OK) {
        return status;
    }
    iterator->selection.range = NULL; /* Borrowed until now. */
    iterator->selection.progress = NULL;
    iterator->count = iterator->selection.notes.count;
    if (range != NULL) {
        iterator->is_reverse = range->reverse;
        iterator->is_keys_only = range->keys_only;
        if (range->limit != 0 && range->limit < iterator->count) {
            iterator->count = (size_t)range->limit;
        }
    }
    return KVSTORE_OK;
}

static kvstore_status create_iterator(const kvstore *store,
                                      const kvstore_range *range,
                                      kvstore_iterator **iterator_out)
{
    kvstore_iterator *iterator = kv_io_allocate(sizeof *iterator);
    if (iterator == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memset(iterator, 0, sizeof *iterator);
    iterator->snapshot =
        (struct kv_snapshot){.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    for (int i = 0; i < KV_FORK_GUARD_FILES; i++) {
        iterator->guard.files[i] = &iterator->snapshot.log.file;
    }
    kvstore_status status = kv_fork_guard_add(&iterator->guard);
    if (status != KVSTORE_OK) {
        kv_io_free(iterator);
        return status;
    }
    iterator->ref = kv_store_ref_share(store->ref);
    status = make(iterator, store, range);
    if (status != KVSTORE_OK) {
        kvstore_iterator_free(iterator);
        return status;
    }
    *iterator_out = iterator;
    return KVSTORE_OK;
}

kvstore_status kvstore_iterator_create(const kvstore *store,
                                       const kvstore_range *range,
                                       kvstore_iterator **iterator_out)
{
    if (iterator_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the iterator");
    }
    *iterator_out = NULL;
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status = range == NULL ? KVSTORE_OK : check_range(range);
    if (status == KVSTORE_OK) {
        status = kv_store_check_process(store);
    }
    if (status == KVSTORE_OK) {
        int cancel = kv_cancel_hold();
        status = create_iterator(store, range, iterator_out);
        kv_store_tell_warnings(store);
        kv_cancel_release(cancel);
    }
    return status;
}

void kvstore_iterator_free(kvstore_iterator *iterator)
{
    if (iterator == NULL) {
        return;
    }
    int cancel = kv_cancel_hold();
    if (!kv_fork_guard_is_child(&iterator->guard)) {
        kv_store_ref_drop(iterator->ref);
    }
    kv_fork_guard_remove(&iterator->guard);
    kv_selection_release(&iterator->selection);
    kv_snapshot_close(&iterator->snapshot);
    kv_io_free(iterator->memory.bytes);
    kv_io_free(iterator);
    kv_cancel_release(cancel);
}

/* --- Going on --- */

/* The note of the key after so many. */
static const struct kv_note *note_at(const kvstore_iterator *iterator,
                                     size_t number)
{
    const struct kv_notes *notes = &iterator->selection.notes;
    return &notes->notes[iterator->is_reverse ? notes->count - 1 - number
                                              : number];
}

static kvstore_status go_to_next(kvstore_iterator *iterator)
{
    if (iterator->count - iterator->next > FETCHED_KEYS) {
        const struct kv_note *later =
            note_at(iterator, iterator->next + FETCHED_KEYS);
        kv_log_prefetch(&iterator->snapshot.log, kv_note_offset(later));
    }
    kvstore_status status = kv_entry_read(&iterator->selection,
                                          note_at(iterator, iterator->next),
                                          iterator->is_keys_only,
                                          &iterator->memory,
                                          &iterator->entry);
    if (status == KVSTORE_OK || status == KVSTORE_CORRUPT) {
        iterator->next++;
    }
    return status;
}

static kvstore_status check_handle(const kvstore_iterator *iterator)
{
    if (kv_fork_guard_is_child(&iterator->guard)) {
        return kv_fail(KVSTORE_INVALID, "the iterator was made before fork()");
    }
    return kv_store_ref_is_open(iterator->ref)
               ? KVSTORE_OK
               : kv_fail(KVSTORE_INVALID,
                         "the iterator's handle has been closed");
}

kvstore_status kvstore_iterator_next(kvstore_iterator *iterator,
                                     const kvstore_entry **entry_out)
{
    if (entry_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the entry");
    }
    *entry_out = NULL;
    if (iterator == NULL) {
        return kv_fail(KVSTORE_INVALID, "the iterator is NULL");
    }
    kvstore_status status = check_handle(iterator);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (iterator->next == iterator->count) {
        return KVSTORE_NOT_FOUND;
    }
    int cancel = kv_cancel_hold();
    status = go_to_next(iterator);
    kv_cancel_release(cancel);
    if (status == KVSTORE_OK) {
        *entry_out = &iterator->entry;
    }
    return status;
}

/* --- The list --- */

/* All keys, each after its size: some may have to be read again, and none is
 * visited before that has succeeded. */
struct key_list {
    char *bytes;
    size_t size;
    size_t capacity;
};

/* Makes room for one more key. */
static kvstore_status extend_list(struct key_list *list)
{
    size_t needed = list->size + sizeof(uint32_t) + KV_NOTE_KEY_ROOM;
    if (needed <= list->capacity) {
        return KVSTORE_OK;
    }
    char *bytes = kv_io_reallocate(list->bytes, 2 * needed);
    if (bytes == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    list->bytes = bytes;
    list->capacity = 2 * needed;
    return KVSTORE_OK;
}

static kvstore_status collect_keys(const struct kv_notes *notes,
                                   struct key_list *list)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; status == KVSTORE_OK && i < notes->count; i++) {
        size_t size = 0;
        status = extend_list(list);
        if (status == KVSTORE_OK) {
            status =
                kv_notes_read_key(notes,
                                  &notes->notes[i],
                                  list->bytes + list->size + sizeof(uint32_t),
                                  &size);
        }
        if (status == KVSTORE_OK) {
            uint32_t stored_size = (uint32_t)size;
            memcpy(list->bytes + list->size, &stored_size, sizeof stored_size);
            list->size += sizeof stored_size + size;
        }
    }
    return status;
}

static void visit_keys(const struct key_list *list,
                       kvstore_visit_key visit,
                       void *context)
{
    bool goes_on = true;
    for (size_t at = 0; goes_on && at < list->size;) {
        uint32_t size = 0;
        memcpy(&size, list->bytes + at, sizeof size);
        at += sizeof size;
        goes_on = visit(context, list->bytes + at, size);
        at += size;
    }
}

static kvstore_status list_keys(const kvstore *store,
                                const kvstore_range *range,
                                kvstore_visit_key visit,
                                void *context)
{
    struct kv_snapshot snapshot;
    struct kv_selection selection = {.range = NULL};
    struct key_list list = {.bytes = NULL};
    kvstore_status status = select_keys(store, range, &snapshot, &selection);
    if (status == KVSTORE_OK) {
        status = collect_keys(&selection.notes, &list);
    }
    kv_selection_release(&selection);
    kv_snapshot_close(&snapshot);
    if (status == KVSTORE_OK) {
        visit_keys(&list, visit, context);
    }
    kv_io_free(list.bytes);
    return status;
}

kvstore_status kvstore_list(const kvstore *store,
                            const void *prefix,
                            size_t prefix_size,
                            kvstore_visit_key visit,
                            void *context)
{
    if (store == NULL || visit == NULL || !is_given(prefix, prefix_size)) {
        return kv_fail(KVSTORE_INVALID,
                       "a handle, a visit or a prefix is NULL");
    }
    const kvstore_range range = {.prefix = prefix, .prefix_size = prefix_size};
    int cancel = kv_cancel_hold();
    kvstore_status status = list_keys(store, &range, visit, context);
    kv_store_tell_warnings(store);
    kv_cancel_release(cancel);
    return status;
}
