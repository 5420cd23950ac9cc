/* SPDX-License-Identifier: MIT */

/* The hash index: from a key's hash to places in the log. Open addressing in
 * a region of memory that it is given, by offsets, so that the region may stand
 * anywhere. Knows no keys and no lines: whoever looks a key up is handed the
 * places that may hold it, one by one, and compares. */

#ifndef KV_INDEX_H
#define KV_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log_pointer.h"

/* How the bytes of the log divide, and what was met in it. Live, stale, blank
 * and damaged add up to header->applied. */
struct kv_index_counts {
    uint64_t keys;            /* Whose newest record is a Set. */
    uint64_t live_bytes;      /* Newest Sets, and records out of our reach. */
    uint64_t stale_bytes;     /* Superseded records, and all Removes. */
    uint64_t tombstone_bytes; /* Of the stale: Removes that are the newest. */
    uint64_t blank_bytes;
    uint64_t damaged_bytes;
    uint64_t damaged_records;
    uint64_t damaged_offset; /* Of the first; UINT64_MAX: none. */
    uint64_t unknown_records; /* Of a newer version. */
};

struct kv_index_header {
    uint64_t seed;       /* Of the hash. */
    uint32_t level;      /* 1 << level buckets. */
    uint32_t tag_level;  /* The level at which the slots' hash bits were cut. */
    uint64_t slots_used;
    uint64_t slots_flagged;
    uint64_t applied;    /* The log up to here is in the index. */
    bool follows_damage; /* What ends there is a damaged line. */
    bool is_in_doubt;    /* Some slot leads to no line; build anew. */
    struct kv_log_pointer last; /* The last line applied, and its hash. */
    uint64_t last_hash;
    struct kv_index_counts counts;
};

struct kv_index {
    struct kv_index_header *header;
    _Atomic uint64_t *slots;
};

#define KV_INDEX_LEVEL_MIN 7u
#define KV_INDEX_LEVEL_MAX 36u

/* Bytes of a region at a level. */
size_t kv_index_region_size(unsigned level);

/* The lowest level that holds this many keys without growing. */
unsigned kv_index_level_for(uint64_t key_count);

/* Formats a region, aligned for any type, as an empty index. */
struct kv_index
kv_index_format(void *region, unsigned level, uint64_t seed);

uint64_t kv_index_hash(const struct kv_index *index,
                       const void *key,
                       size_t key_size);

/* A walk along the slots that may belong to a hash. */
struct kv_index_probe {
    uint64_t hash;
    uint64_t slot; /* Where the walk stands. */
    unsigned step;
    bool has_place; /* The slot is a candidate, or empty and may be taken. */
};

/* What a candidate slot says. */
struct kv_index_entry {
    uint64_t offset;
    size_t about_size; /* The line is no longer than this. */
    bool is_flagged;   /* Leads to a line that tells the key and cannot be
                          served. */
};

struct kv_index_probe kv_index_probe_start(const struct kv_index *index,
                                           uint64_t hash);

/* True: entry_out is the next candidate. False: there is no more; the probe
 * stands on the empty slot that ends the walk, if has_place. At most
 * KV_INDEX_REACH buckets are looked at. */
bool kv_index_probe_next(const struct kv_index *index,
                         struct kv_index_probe *probe,
                         struct kv_index_entry *entry_out);

/* Stores a pointer in the slot where the probe stands. */
void kv_index_put(struct kv_index *index,
                  const struct kv_index_probe *probe,
                  struct kv_log_pointer pointer,
                  bool is_flagged);

/* One more key may not fit. */
bool kv_index_is_full(const struct kv_index *index);

/* May the slots move to the next level by the hash bits that they hold? Else
 * the keys have to be hashed again. */
bool kv_index_can_spread(const struct kv_index *index);

/* Copies all slots and the header into an empty index one level up. False
 * where a slot finds no place there. */
bool kv_index_spread(const struct kv_index *index, struct kv_index *larger);

/* The occupied slot at or behind *slot, for walks over the whole index; false
 * at the end. */
bool kv_index_next_entry(const struct kv_index *index,
                         uint64_t *slot,
                         struct kv_index_entry *entry_out);

#endif
