/* SPDX-License-Identifier: MIT */

/* A hash table with chains, of items in an array: a loop over the array may
 * insert meanwhile, and reaches what was inserted. */

#include "configuration_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *checked_calloc(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL) {
        (void)fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

bool configuration_has(const uint64_t *bits, unsigned slot)
{
    return (bits[slot / 64] >> (slot % 64) & 1) != 0;
}

void configuration_put(uint64_t *bits, unsigned slot)
{
    bits[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void configuration_take(uint64_t *bits, unsigned slot)
{
    bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

/* The finalizer of MurmurHash3 (A. Appleby). */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static size_t hash_of(const struct configuration *item)
{
    return (size_t)mix(mix(item->value) ^ item->done[0]);
}

void configuration_set_init(struct configuration_set *set, size_t capacity)
{
    set->count = 0;
    set->capacity = capacity;
    set->items = checked_calloc(capacity, sizeof *set->items);
    set->next = checked_calloc(capacity, sizeof *set->next);
    set->heads = checked_calloc(capacity, sizeof *set->heads);
}

void configuration_set_release(struct configuration_set *set)
{
    free(set->items);
    free(set->next);
    free(set->heads);
}

static void link_item(struct configuration_set *set, size_t i)
{
    size_t head = hash_of(&set->items[i]) & (set->capacity - 1);
    set->next[i] = set->heads[head];
    set->heads[head] = (uint32_t)i + 1;
}

/* A set that was large once is not cleared in its full size each time. */
void configuration_set_empty(struct configuration_set *set)
{
    if (set->capacity > CONFIGURATION_SET_CAPACITY &&
        set->count < set->capacity / 16) {
        configuration_set_release(set);
        configuration_set_init(set, CONFIGURATION_SET_CAPACITY);
    } else if (set->count > 0) {
        memset(set->heads, 0, set->capacity * sizeof *set->heads);
    }
    set->count = 0;
}

static void grow(struct configuration_set *set)
{
    struct configuration_set old = *set;
    configuration_set_init(set, old.capacity * 2);
    memcpy(set->items, old.items, old.count * sizeof *old.items);
    set->count = old.count;
    for (size_t i = 0; i < set->count; i++) {
        link_item(set, i);
    }
    configuration_set_release(&old);
}

/* True if the new one equals the old one, except that it may have used more
 * spares. */
static bool is_needless(const struct configuration *item,
                        const struct configuration *old)
{
    bool is = item->value == old->value && item->done[0] == old->done[0];
    for (int i = 1; i < CONFIGURATION_WORDS && is; i++) {
        is = (old->done[i] & ~item->done[i]) == 0;
    }
    return is;
}

void configuration_set_insert(struct configuration_set *set,
                              const struct configuration *item)
{
    size_t head = hash_of(item) & (set->capacity - 1);
    for (uint32_t i = set->heads[head]; i != 0; i = set->next[i - 1]) {
        if (is_needless(item, &set->items[i - 1])) {
            return;
        }
    }
    if (set->count == set->capacity) {
        grow(set);
    }
    set->items[set->count++] = *item;
    link_item(set, set->count - 1);
}
