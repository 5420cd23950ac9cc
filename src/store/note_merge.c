/* SPDX-License-Identifier: MIT */

/* A merge sort: passes over all notes, each of which merges two sorted runs at a
 * time. Only the next key of either run is in memory. */

#include "store/note_merge.h"

#include "os/system.h"

#include <assert.h>
#include <string.h>

/* A sorted run that is merged with another one, and the key of its next note. */
struct run {
    struct kv_note *next;
    struct kv_note *end;
    char *key;
    size_t key_size;
};

static kvstore_status read_next(const struct kv_note_merge *merge,
                                struct run *run)
{
    return run->next == run->end ? KVSTORE_OK
                                 : kv_note_read_key(merge->log,
                                                    merge->end,
                                                    run->next,
                                                    run->key,
                                                    &run->key_size);
}

/* Less than, equal to or greater than zero, as memcmp(). */
static int compare_runs(const struct run *a, const struct run *b)
{
    size_t common = a->key_size < b->key_size ? a->key_size : b->key_size;
    int order = memcmp(a->key, b->key, common);
    return order != 0
               ? order
               : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

/* Takes the next note of the run whose turn it is. Of one key, the first run has
 * the older notes. */
static struct run *choose(struct run *first, struct run *second)
{
    if (first->next == first->end || second->next == second->end) {
        return first->next == first->end ? second : first;
    }
    int order = compare_runs(first, second);
    if (order == 0) {
        first->next->place |= KV_NOTE_STALE;
    }
    return order <= 0 ? first : second;
}

static kvstore_status merge_runs(const struct kv_note_merge *merge,
                                 struct run *first,
                                 struct run *second,
                                 struct kv_note *out)
{
    kvstore_status status = read_next(merge, first);
    if (status == KVSTORE_OK) {
        status = read_next(merge, second);
    }
    while (status == KVSTORE_OK &&
           (first->next != first->end || second->next != second->end)) {
        struct run *run = choose(first, second);
        *out++ = *run->next++;
        status = read_next(merge, run);
    }
    return status;
}

/* Merges each two runs of a size. */
static kvstore_status merge_pass(const struct kv_note_merge *merge,
                                 struct kv_note *from,
                                 struct kv_note *to,
                                 size_t count,
                                 size_t size)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t at = 0; at < count && status == KVSTORE_OK; at += 2 * size) {
        size_t middle = count - at < size ? count : at + size;
        size_t end = count - middle < size ? count : middle + size;
        struct run first = {
            .next = from + at, .end = from + middle, .key = merge->keys[0]};
        struct run second = {
            .next = from + middle, .end = from + end, .key = merge->keys[1]};
        status = merge_runs(merge, &first, &second, to + at);
    }
    return status;
}

kvstore_status kv_note_merge(const struct kv_note_merge *merge,
                             struct kv_note *notes,
                             size_t count)
{
    assert(count > 1);
    struct kv_note *other = kv_io_allocate(count * sizeof *other);
    if (other == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    struct kv_note *from = notes;
    struct kv_note *to = other;
    kvstore_status status = KVSTORE_OK;
    for (size_t size = 1; size < count && status == KVSTORE_OK; size *= 2) {
        status = merge_pass(merge, from, to, count, size);
        struct kv_note *merged = to;
        to = from;
        from = merged;
    }
    if (from == other) {
        memcpy(notes, other, count * sizeof *notes);
    }
    kv_io_free(other);
    return status;
}
