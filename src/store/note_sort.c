/* SPDX-License-Identifier: MIT */

/* Sorts notes in place, which the C library's qsort() does not: it takes as much
 * memory again. A quicksort, which does small ranges by insertion, and those
 * where its pivots are bad by a heap: keys may be chosen to make them so. */

#include "store/note_sort.h"

#include <assert.h>

#define SMALL_COUNT ((size_t)16)

/* The smaller part is sorted first, so no more are ever waiting. */
#define WAITING_MAX 64

static inline bool is_before(const struct kv_note *a, const struct kv_note *b)
{
    if (a->head[0] != b->head[0]) {
        return a->head[0] < b->head[0];
    }
    if (a->head[1] != b->head[1]) {
        return a->head[1] < b->head[1];
    }
    return a->place < b->place;
}

static inline void swap_notes(struct kv_note *a, struct kv_note *b)
{
    struct kv_note note = *a;
    *a = *b;
    *b = note;
}

static void sort_by_insertion(struct kv_note *notes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct kv_note note = notes[i];
        size_t at = i;
        for (; at > 0 && is_before(&note, &notes[at - 1]); at--) {
            notes[at] = notes[at - 1];
        }
        notes[at] = note;
    }
}

/* Lets a note down to its place in the heap, in which the last one is first. */
static void sift_down(struct kv_note *notes, size_t at, size_t count)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && is_before(&notes[child], &notes[child + 1])) {
            child++;
        }
        if (!is_before(&notes[at], &notes[child])) {
            return;
        }
        swap_notes(&notes[at], &notes[child]);
        at = child;
    }
}

static void sort_by_heap(struct kv_note *notes, size_t count)
{
    for (size_t i = count / 2; i > 0; i--) {
        sift_down(notes, i - 1, count);
    }
    for (size_t i = count; i > 1; i--) {
        swap_notes(&notes[0], &notes[i - 1]);
        sift_down(notes, 0, i - 1);
    }
}

/* Divides three notes or more: none of the first ones, which are counted, comes
 * after any of the others. There are some of both. */
static size_t divide(struct kv_note *notes, size_t count)
{
    struct kv_note *first = &notes[0];
    struct kv_note *middle = &notes[count / 2];
    struct kv_note *last = &notes[count - 1];
    if (is_before(middle, first)) {
        swap_notes(middle, first);
    }
    if (is_before(last, middle)) {
        swap_notes(last, middle);
        if (is_before(middle, first)) {
            swap_notes(middle, first);
        }
    }
    struct kv_note pivot = *middle;
    size_t left = 0;
    size_t right = count - 1;
    for (;;) {
        do {
            left++;
        } while (is_before(&notes[left], &pivot));
        do {
            right--;
        } while (is_before(&pivot, &notes[right]));
        if (left >= right) {
            return left;
        }
        swap_notes(&notes[left], &notes[right]);
    }
}

/* A range that is not sorted yet, and how often it may still be divided. */
struct waiting {
    struct kv_note *notes;
    size_t count;
    unsigned budget;
};

void kv_note_sort(struct kv_note *notes, size_t count)
{
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count = 0;
    struct waiting range = {.notes = notes, .count = count};
    for (size_t left = count; left > 0; left /= 2) {
        range.budget += 2;
    }
    for (;;) {
        if (range.count > SMALL_COUNT && range.budget > 0) {
            size_t first = divide(range.notes, range.count);
            struct waiting rest = {.notes = range.notes + first,
                                   .count = range.count - first,
                                   .budget = range.budget - 1};
            range.count = first;
            range.budget--;
            bool is_rest_small = rest.count < range.count;
            assert(waiting_count < WAITING_MAX);
            waiting[waiting_count++] = is_rest_small ? range : rest;
            range = is_rest_small ? rest : range;
            continue;
        }
        if (range.count > SMALL_COUNT) {
            sort_by_heap(range.notes, range.count);
        } else {
            sort_by_insertion(range.notes, range.count);
        }
        if (waiting_count == 0) {
            return;
        }
        range = waiting[--waiting_count];
    }
}
