/* SPDX-License-Identifier: MIT */

/* The keys of a log, in order: one fold up to an end that was known at the
 * beginning, so it is as if nothing were written meanwhile. The index is not
 * asked: it moves on during the fold.
 *
 * What the fold meets of a key is noted, in the order of the log. When there is
 * no more room, and at the end, the notes are sorted by key, and only the last
 * one of each key is kept; none, if that says that the key is gone. So there
 * are never more notes than twice the keys that match, and a few. */

#include "store/list.h"

#include "index/index.h"
#include "os/error.h"
#include "os/system.h"
#include "record/expiry.h"
#include "record/record.h"
#include "record/text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MIN ((size_t)1024)
#define KEY_BLOCK_SIZE ((size_t)256 << 10)

/* What the log says of a key. */
struct note {
    const char *key; /* In a block. */
    uint64_t head;   /* What follows the prefix, to compare it at once. */
    uint64_t number; /* Counts the notes, in the log's order. */
    uint32_t key_size;
    bool is_there;
};

/* Keys are in blocks, one after another. */
struct chunk {
    struct chunk *next;
    size_t used;
    char bytes[KEY_BLOCK_SIZE];
};

struct list {
    const struct kv_list *listing;
    struct note *notes;
    size_t count;
    size_t capacity;
    uint64_t numbers; /* Given out so far. */
    struct chunk *chunks;
    struct kv_expiry expiry;
};

/* --- Blocks --- */

static void free_blocks(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        kv_io_free(chunk);
        chunk = next;
    }
}

/* Finds room for a key, which is taken by adding to the used bytes. */
static char *find_room(struct chunk **chunks, size_t size)
{
    assert(size <= KEY_BLOCK_SIZE);
    if (*chunks == NULL || KEY_BLOCK_SIZE - (*chunks)->used < size) {
        struct chunk *chunk = kv_io_allocate(sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = *chunks;
        chunk->used = 0;
        *chunks = chunk;
    }
    return (*chunks)->bytes + (*chunks)->used;
}

/* Puts blocks in front of others. */
static void join(struct chunk *chunks, struct chunk **others)
{
    struct chunk **last = &chunks;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = *others;
    *others = chunks;
}

/* Moves the keys of all notes to blocks of their own: what else is in the old
 * ones is not needed any more. */
static kvstore_status move_keys(struct list *list)
{
    struct chunk *chunks = NULL;
    for (size_t i = 0; i < list->count; i++) {
        struct note *note = &list->notes[i];
        char *key = find_room(&chunks, note->key_size);
        if (key == NULL) {
            /* Some keys are in the new blocks, some in the old. */
            join(chunks, &list->chunks);
            return KVSTORE_NO_MEMORY;
        }
        memcpy(key, note->key, note->key_size);
        chunks->used += note->key_size;
        note->key = key;
    }
    free_blocks(list->chunks);
    list->chunks = chunks;
    return KVSTORE_OK;
}

/* --- Order --- */

/* Returns the first eight bytes after the prefix, as a number that compares as
 * the bytes do. */
static uint64_t head_of(const char *key, size_t size, size_t prefix_size)
{
    uint64_t head = 0;
    for (size_t i = 0; i < sizeof head; i++) {
        size_t at = prefix_size + i;
        head = head << 8 | (at < size ? (unsigned char)key[at] : 0);
    }
    return head;
}

static int compare(const struct note *a, const struct note *b)
{
    if (a->head != b->head) {
        return a->head < b->head ? -1 : 1;
    }
    size_t common = a->key_size < b->key_size ? a->key_size : b->key_size;
    int order = memcmp(a->key, b->key, common);
    if (order != 0 || a->key_size == b->key_size) {
        return order;
    }
    return a->key_size < b->key_size ? -1 : 1;
}

/* By key, and those of one key in the log's order. */
static int compare_for_sort(const void *a, const void *b)
{
    const struct note *x = a;
    const struct note *y = b;
    int order = compare(x, y);
    if (order != 0) {
        return order;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

/* --- Notes --- */

/* Sorts, and keeps the last note of each key, if that says that the key is
 * there. The notes move to memory for capacity notes. */
static kvstore_status settle(struct list *list, size_t capacity)
{
    struct note *notes = kv_io_allocate(capacity * sizeof *notes);
    if (notes == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    if (list->count > 0) {
        qsort(list->notes, list->count, sizeof *notes, compare_for_sort);
    }
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct note *note = &list->notes[i];
        bool is_last = i + 1 == list->count || compare(note, note + 1) != 0;
        if (is_last && note->is_there) {
            notes[count++] = *note;
        }
    }
    kv_io_free(list->notes);
    list->notes = notes;
    list->count = count;
    list->capacity = capacity;
    return move_keys(list);
}

/* Makes room for one more note: by settling, and if that gains little, by more
 * memory for the next time. */
static kvstore_status make_room(struct list *list)
{
    if (list->count < list->capacity) {
        return KVSTORE_OK;
    }
    if (list->capacity == 0) {
        return settle(list, NOTES_MIN);
    }
    kvstore_status status = settle(list, list->capacity);
    if (status == KVSTORE_OK && list->count > list->capacity / 2) {
        status = settle(list, list->capacity * 2);
    }
    return status;
}

static bool begins_so(const struct kv_list *listing,
                      const char *key,
                      size_t size)
{
    return size >= listing->prefix_size &&
           (listing->prefix_size == 0 ||
            memcmp(key, listing->prefix, listing->prefix_size) == 0);
}

static kvstore_status note_item(void *context, const struct kv_fold_item *item)
{
    struct list *list = context;
    const struct kv_text *text = &item->record->key;
    if (item->type == KV_RECORD_BLANK || !kv_index_is_reachable(item) ||
        (text->form == KV_TEXT_PLAIN &&
         !begins_so(list->listing, text->raw, text->size))) {
        return KVSTORE_OK;
    }
    kvstore_status status = make_room(list);
    if (status != KVSTORE_OK) {
        return status;
    }
    char *key = find_room(&list->chunks, text->size);
    if (key == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    if (!kv_text_decode(text, key)) {
        return kv_fail_at(KVSTORE_CORRUPT,
                          item->pointer.offset,
                          "%s was changed under a running program",
                          KV_LOG_NAME);
    }
    if (!begins_so(list->listing, key, text->size)) {
        return KVSTORE_OK;
    }
    list->chunks->used += text->size;
    list->notes[list->count++] = (struct note){
        .key = key,
        .head = head_of(key, text->size, list->listing->prefix_size),
        .number = list->numbers++,
        .key_size = (uint32_t)text->size,
        .is_there = item->type == KV_RECORD_SET
                        ? kv_expiry_is_live(&list->expiry, item->record)
                        : item->type != KV_RECORD_REMOVE};
    return KVSTORE_OK;
}

/* --- Listing --- */

static kvstore_status fold_log(struct list *list)
{
    const struct kv_list *listing = list->listing;
    struct kv_fold_range range = {.end = listing->end,
                                  .progress = listing->progress};
    struct kv_fold_result result;
    kvstore_status status =
        kv_fold(listing->log, range, note_item, list, &result);
    /* A tail that looks torn was whole once: it is as unreadable as for a
     * get. */
    if (status == KVSTORE_OK && !result.is_torn &&
        result.offset != listing->end) {
        status = kv_fail_at(KVSTORE_CORRUPT,
                            result.offset,
                            "%s was changed under a running program",
                            KV_LOG_NAME);
    }
    return status;
}

kvstore_status kv_list_run(const struct kv_list *listing,
                           kvstore_visit_key visit,
                           void *context)
{
    struct list list = {.listing = listing};
    kvstore_status status = fold_log(&list);
    if (status == KVSTORE_OK && list.count > 0) {
        status = settle(&list, list.count);
    }
    bool goes_on = status == KVSTORE_OK;
    for (size_t i = 0; goes_on && i < list.count; i++) {
        goes_on = visit(context, list.notes[i].key, list.notes[i].key_size);
    }
    kv_io_free(list.notes);
    free_blocks(list.chunks);
    return status;
}
