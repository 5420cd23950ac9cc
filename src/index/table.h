/* SPDX-License-Identifier: MIT */

/* The hash table: from a key's hash to the place and the length of its newest
 * record. Open addressing in a region of memory that it is given, by offsets,
 * so that the region may be anywhere. Knows no keys and no lines. */

#ifndef KV_INDEX_TABLE_H
#define KV_INDEX_TABLE_H

#include "index/header.h"
#include "log/pointer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a slot leads to. */
enum kv_table_kind {
    KV_TABLE_SET,
    KV_TABLE_EXPIRING_SET,
    KV_TABLE_REMOVE,
    KV_TABLE_DAMAGE /* A line that names the key and cannot be served: damage,
                       or of a newer version. A key may have such a slot beside
                       its other one. */
};

/* As much of a key's hash as a slot has: 74 bits. */
struct kv_table_hash {
    uint64_t tag; /* Never 0. */
    uint64_t check;
};

struct kv_table_entry {
    struct kv_log_pointer pointer;
    enum kv_table_kind kind;
};

/* A slot has room for lengths below this. A longer record has this one, and its
 * line tells how long it is. */
#define KV_TABLE_LENGTH_LONG UINT64_C(4095)

static inline bool kv_table_is_long(const struct kv_table_entry *entry)
{
    return entry->pointer.length >= KV_TABLE_LENGTH_LONG;
}

/* Returns how many buckets hold this many keys, and some more, without
 * growing. */
uint64_t kv_table_buckets_for(uint64_t key_count);

/* How many slots of a table may be in use. */
uint64_t kv_table_room(const struct kv_table *table);

struct kv_table_hash kv_table_hash(const struct kv_table *table,
                                   const void *key,
                                   size_t key_size);

/* Returns the bucket where the walk for a tag begins, in a table with so many.
 * It grows with the tag. */
static inline uint64_t kv_table_home(uint64_t tag, uint64_t bucket_count)
{
    /* tag * bucket_count / 2^64: the count has at most 32 bits. */
    uint64_t low = (tag & UINT32_MAX) * bucket_count >> 32;
    return ((tag >> 32) * bucket_count + low) >> 32;
}

/* Asks the processor to fetch the bucket where a walk begins. GCC takes a call
 * of a function that does nothing else for one without effect, and drops it,
 * unless it was inlined before. */
__attribute__((always_inline)) static inline void kv_table_prefetch(
    const struct kv_table *table,
    uint64_t tag)
{
    uint64_t bucket = kv_table_home(tag, table->bucket_count);
    __builtin_prefetch(
        (const void *)&table->words[bucket * KV_TABLE_BUCKET_SLOTS * 2]);
}

/* A slot as it is stored. */
struct kv_table_slot {
    uint64_t tag; /* 0: it is empty, and the pointer means nothing. */
    uint64_t pointer;
};
struct kv_table_entry kv_table_entry_of(struct kv_table_slot slot);
struct kv_table_hash kv_table_hash_of(struct kv_table_slot slot);
struct kv_table_slot kv_table_slot_of(struct kv_table_hash hash,
                                      const struct kv_table_entry *entry);

/* Returns the slot of a key with this hash, the one that tells of damage or the
 * other; an empty one if there is none. */
struct kv_table_slot kv_table_get(const struct kv_table *table,
                                  struct kv_table_hash hash,
                                  bool is_damage);

/* --- For writers --- */

/* Where a walk has ended: at the key's slot, or at the empty one that it would
 * get. A slot keeps its place: so a walk for the same key may begin here. */
struct kv_table_place {
    uint64_t slot;
};

#define KV_TABLE_NO_SLOT UINT64_MAX

/* kv_table_get() for one that may store there. False: the key has no slot, and
 * the place is an empty one; KV_TABLE_NO_SLOT if there is none, which is never
 * so while the totals are true. */
bool kv_table_find(const struct kv_table *table,
                   struct kv_table_hash hash,
                   bool is_damage,
                   struct kv_table_place *place_out,
                   struct kv_table_entry *entry_out);

/* The same from where an earlier walk for this key has ended. */
bool kv_table_find_on(const struct kv_table *table,
                      struct kv_table_hash hash,
                      bool is_damage,
                      struct kv_table_place *place,
                      struct kv_table_entry *entry_out);

/* Stores an entry at the place where a find has just ended. is_new: there it
 * found an empty slot. Only under the writers' lock. */
void kv_table_put(struct kv_table *table,
                  struct kv_table_hash hash,
                  struct kv_table_place place,
                  bool is_new,
                  const struct kv_table_entry *entry);

/* --- All slots --- */

static inline uint64_t kv_table_slot_count(const struct kv_table *table)
{
    return table->bucket_count * KV_TABLE_BUCKET_SLOTS;
}

struct kv_table_slot kv_table_load(const struct kv_table *table, uint64_t slot);

/* Walks that come by chance are much shorter. A copy of a table gives longer ones
 * up: somebody has made keys, or slots, that crowd. */
#define KV_TABLE_WALK_MAX 4096u

/* Puts a slot of another table, with the same secret, at the end of its walk. No
 * slot here is its key's. False if the walk is too long. */
bool kv_table_insert(struct kv_table *table, struct kv_table_slot slot);

/* Returns what a slot adds to a sum over slots: equal sums mean the same slots.
 * Nobody can make slots for it without the two random words. */
uint64_t kv_table_mix(struct kv_table_slot slot, const uint64_t random[2]);

#endif
