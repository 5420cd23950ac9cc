/* SPDX-License-Identifier: MIT */

/* The hash table: from a key's hash to places in the log. Open addressing in a
 * region of memory that it is given, by offsets, so that the region may be
 * anywhere. Knows no keys and no lines: a caller that looks a key up is handed
 * the places that may hold it, one by one, and compares. */

#ifndef KV_INDEX_TABLE_H
#define KV_INDEX_TABLE_H

#include "index/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the lowest level that holds this many keys without growing. */
unsigned kv_table_level_for(uint64_t key_count);

uint64_t kv_table_hash(const struct kv_table *table,
                       const void *key,
                       size_t key_size);

/* Asks the processor to fetch the bucket where a walk begins. */
void kv_table_prefetch(const struct kv_table *table, uint64_t hash);

/* A walk along the slots that may belong to a hash. */
struct kv_table_probe {
    uint64_t hash;
    uint64_t hash_bits; /* As slots have them. */
    uint64_t slot;      /* Where the walk is. */
    unsigned step;
    bool has_place; /* The slot is a candidate, or empty and may be taken. */
};

/* What a candidate slot says. */
struct kv_table_entry {
    uint64_t offset;
    uint64_t hash_bits; /* As much of the key's hash as a slot holds. */
    bool is_flagged;    /* Leads to a line that names the key and cannot be
                           served. */
};

struct kv_table_probe kv_table_probe_start(const struct kv_table *table,
                                           uint64_t hash);

/* True: entry_out is the next candidate. False: there is no more; the probe is
 * at the empty slot that ends the walk, if has_place. Reads at most
 * KV_TABLE_REACH buckets. */
bool kv_table_probe_next(const struct kv_table *table,
                         struct kv_table_probe *probe,
                         struct kv_table_entry *entry_out);

/* True if the candidate that kv_table_probe_next() gave last can be the slot of
 * a key with this hash: else the line that it leads to is not the one that it
 * was made for. */
bool kv_table_probe_fits(const struct kv_table *table,
                         const struct kv_table_probe *probe,
                         uint64_t hash);

/* Return what the slot of a key with this hash that leads to an offset adds to
 * a sum over slots, and what an entry adds: equal sums mean the same slots. */
uint64_t kv_table_mix(const struct kv_table *table,
                      uint64_t hash,
                      uint64_t offset);
uint64_t kv_table_mix_entry(const struct kv_table_entry *entry);

/* True if there may be a slot of a key with this hash. False is certain. */
bool kv_table_may_have(const struct kv_table *table, uint64_t hash);

/* Moves on from the empty slot that ended a walk to the next one; has_place
 * says whether there is one. */
void kv_table_probe_skip(const struct kv_table *table,
                         struct kv_table_probe *probe);

/* Stores a line's offset in the slot where the probe is, and counts it. */
void kv_table_put(struct kv_table *table,
                  struct kv_table_totals *totals,
                  const struct kv_table_probe *probe,
                  uint64_t offset,
                  bool is_flagged);

/* True if there is room for one more key beside so many slots in use. */
bool kv_table_has_room(const struct kv_table *table, uint64_t slots_used);

/* True if the slots may move to another level by the hash bits that they hold.
 * To a lower one always; else so many bits are used up that the keys have to be
 * hashed again. */
bool kv_table_can_spread(const struct kv_table *table, unsigned level);

/* Copies all slots into an empty table of another level and the same seed.
 * Returns false if a slot finds no place there. */
bool kv_table_spread(const struct kv_table *table, struct kv_table *other);

/* Finds the next occupied slot at or past *slot, for walks over the whole
 * table. Returns false at the end. */
bool kv_table_next_entry(const struct kv_table *table,
                         uint64_t *slot,
                         struct kv_table_entry *entry_out);

#endif
