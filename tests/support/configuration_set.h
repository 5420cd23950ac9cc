/* SPDX-License-Identifier: MIT */

/* Sets of configurations: a register's value, and which of the open calls have
 * taken effect. Calls are known by slots. Knows nothing of what calls do. */

#ifndef CONFIGURATION_SET_H
#define CONFIGURATION_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIGURATION_CALLS 64  /* These slots are for calls that happen; */
#define CONFIGURATION_SLOTS 256 /* the others are for spares, which may. */
#define CONFIGURATION_WORDS (CONFIGURATION_SLOTS / 64)
#define CONFIGURATION_SET_CAPACITY 64 /* At first. */

struct configuration {
    uint64_t value;
    uint64_t done[CONFIGURATION_WORDS]; /* One bit for each slot. */
};

/* Each is held once; one that differs from another only in having used more
 * spares is not needed. */
struct configuration_set {
    struct configuration *items;
    uint32_t *next; /* One of the same hash, plus one. */
    size_t count;
    size_t capacity;
    uint32_t *heads; /* As many as the capacity; plus one. */
};

bool configuration_has(const uint64_t *bits, unsigned slot);
void configuration_put(uint64_t *bits, unsigned slot);
void configuration_take(uint64_t *bits, unsigned slot);

void configuration_set_init(struct configuration_set *set, size_t capacity);
void configuration_set_release(struct configuration_set *set);
void configuration_set_empty(struct configuration_set *set);
void configuration_set_insert(struct configuration_set *set,
                              const struct configuration *item);

/* Returns zeroed memory; ends the program if there is none. */
void *checked_calloc(size_t count, size_t size);

#endif
