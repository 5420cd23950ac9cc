/* SPDX-License-Identifier: MIT */

/* The hash table: from a key's hash to places in the log. Open addressing in
 * a region of memory that it is given, by offsets, so that the region may stand
 * anywhere. Knows no keys and no lines: whoever looks a key up is handed the
 * places that may hold it, one by one, and compares. */

#ifndef KV_INDEX_TABLE_H
#define KV_INDEX_TABLE_H

#include "log/pointer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the bytes of the log divide, and what was met in it. Live, stale, blank
 * and damaged add up to totals.applied. */
struct kv_table_counts {
    uint64_t keys;            /* Whose newest record is a Set. */
    uint64_t live_bytes;      /* Newest Sets, and records out of our reach. */
    uint64_t stale_bytes;     /* Superseded records, and all Removes. */
    uint64_t tombstone_bytes; /* Of the stale: Removes that are the newest. */
    uint64_t blank_bytes;
    uint64_t damaged_bytes;
    uint64_t damaged_records;
    uint64_t damaged_offset;  /* Of the first; UINT64_MAX: none. */
    uint64_t unknown_records; /* Of a newer version. */
    uint64_t unknown_offset;  /* Of the first; UINT64_MAX: none. */
};

/* What the holder of the writers' lock keeps of a table beside its slots.
 * Words only: they are published as such. */
struct kv_table_totals {
    uint64_t applied; /* The log up to here is in the table. */
    uint64_t
        follows; /* What kv_fold_follows() says of the line that ends there. */
    uint64_t is_in_doubt; /* 1: some slot or count is not to be relied on.
                                Build anew. */
    uint64_t slots_used;
    uint64_t slots_flagged;
    uint64_t compactions;
    struct kv_log_pointer last; /* The last line applied, and its hash. */
    uint64_t last_hash;
    struct kv_table_counts counts;
};

#define KV_TABLE_TOTALS_WORDS (sizeof(struct kv_table_totals) / 8)
#define KV_TABLE_MOUNTS 8

/* Anything else counts as superseded. */
enum kv_table_state {
    KV_TABLE_LIVE = 0x4c495645,
    KV_TABLE_SWITCHING = 0x53574954,
    KV_TABLE_SUPERSEDED = 0x53555045
};

/* Which log, and what kernel's memory, a table belongs to. A number of an inode
 * is given to another file at once: so birth and generation, as far as the system
 * knows them; 0: it does not. */
struct kv_table_identity {
    uint64_t log_device;
    uint64_t log_inode;
    uint64_t log_birth_ns;
    uint64_t log_generation;
    uint64_t boot_id[2];
};

/* The first page of a region. What is not atomic is set before anybody else
 * can see the region, and stays. */
struct kv_table_header {
    uint64_t magic; /* Format, byte order and layout in one. */
    uint64_t region_size;
    uint64_t seed;      /* Of the hash. */
    uint32_t level;     /* 1 << level buckets. */
    uint32_t tag_level; /* The level at which the slots' hash bits were cut. */
    struct kv_table_identity identity;
    uint64_t fixed_hash; /* Of all above. */

    _Atomic uint64_t state;
    _Atomic uint64_t end; /* The log up to here is whole, and acknowledged or
                             about to be. */
    _Atomic uint64_t has_flags;      /* Some slot has the flag. */
    _Atomic uint64_t poisoned_inode; /* A sync of this log has failed; or 0. */
    _Atomic uint64_t mount_ids[KV_TABLE_MOUNTS]; /* Trusted; 0: none. */
    _Atomic uint64_t holder_pid; /* Who took the writers' lock last, since
                                    when (CLOCK_MONOTONIC, ns), and whether to
                                    fold or switch. Information, no proof. */
    _Atomic uint64_t holder_since;
    _Atomic uint64_t holder_folds;
    _Atomic uint64_t waiting; /* When somebody last tried for the lock in vain
                                 (CLOCK_MONOTONIC_COARSE, ns). */

    _Atomic uint64_t slow_until; /* Until then, each write waits a moment for a
                                    compaction (the same clock); or 0. */
    _Atomic uint64_t failed_at;  /* A compaction has failed when so many bytes
                                   were stale; or 0. */

    /* The totals, twice: the chooser says which are the newest. */
    _Atomic uint64_t chooser;
    _Atomic uint64_t totals[2][KV_TABLE_TOTALS_WORDS + 1]; /* And a hash. */
};

/* A region, and what of its header must not change under us. */
struct kv_table {
    struct kv_table_header *header;
    _Atomic uint64_t *slots;
    uint64_t seed;
    uint32_t level;
    uint32_t tag_level;
};

/* The largest region has 4 TiB; 1 GiB where addresses have 32 bits, since one
 * that grows is there twice. A larger one of another program is foreign there. */
#define KV_TABLE_LEVEL_MIN 7u
#define KV_TABLE_LEVEL_MAX (SIZE_MAX > UINT32_MAX ? 36u : 24u)

/* Bytes of a region at a level. */
size_t kv_table_region_size(unsigned level);

/* The lowest level that holds this many keys without growing. */
unsigned kv_table_level_for(uint64_t key_count);

/* Formats a region of zeros, aligned for any type, as an empty table whose
 * state is SWITCHING. */
struct kv_table kv_table_format(void *region, unsigned level, uint64_t seed);

/* Completes what of the header stays as it is: before anybody else can see the
 * region. */
void kv_table_seal(struct kv_table *table,
                   const struct kv_table_identity *identity);

/* Takes a region that somebody has sealed. False where the header is not one of
 * ours, of another size, or damaged. */
bool kv_table_attach(void *region, size_t size, struct kv_table *table_out);

/* Level and size by the header alone, for a file that is not mapped yet. */
#define KV_TABLE_HEADER_SIZE 4096u

/* --- Totals --- */

struct kv_table_totals kv_table_no_totals(void);

/* Publishes totals: whoever dies on the way leaves the old ones. Under the
 * writers' lock. */
void kv_table_store_totals(struct kv_table *table,
                           const struct kv_table_totals *totals);

/* True if totals can be those of some table like this one: counts that add up,
 * no more slots than there are or than that much log can fill. */
bool kv_table_totals_add_up(const struct kv_table *table,
                            const struct kv_table_totals *totals);

/* True if a table of this size can be the one of so many slots in use: one that
 * is larger than at first has grown. */
bool kv_table_is_explained(const struct kv_table *table, uint64_t slots_used);

/* Loads the newest totals. False where they are damaged, or change all the
 * time. */
bool kv_table_load_totals(const struct kv_table *table,
                          struct kv_table_totals *totals_out);

uint64_t kv_table_hash(const struct kv_table *table,
                       const void *key,
                       size_t key_size);

/* Asks the processor to fetch the bucket where a walk begins. */
void kv_table_prefetch(const struct kv_table *table, uint64_t hash);

/* A walk along the slots that may belong to a hash. */
struct kv_table_probe {
    uint64_t hash;
    uint64_t hash_bits; /* As slots have them. */
    uint64_t slot;      /* Where the walk stands. */
    unsigned step;
    bool has_place; /* The slot is a candidate, or empty and may be taken. */
};

/* What a candidate slot says. */
struct kv_table_entry {
    uint64_t offset;
    uint64_t hash_bits; /* As much of the key's hash as a slot holds. */
    bool is_flagged;    /* Leads to a line that tells the key and cannot be
                           served. */
};

struct kv_table_probe kv_table_probe_start(const struct kv_table *table,
                                           uint64_t hash);

/* True: entry_out is the next candidate. False: there is no more; the probe
 * stands on the empty slot that ends the walk, if has_place. At most
 * KV_TABLE_REACH buckets are looked at. */
bool kv_table_probe_next(const struct kv_table *table,
                         struct kv_table_probe *probe,
                         struct kv_table_entry *entry_out);

/* True if the candidate that kv_table_probe_next() gave last can be the slot of
 * a key with this hash: else the line that it leads to is not the one that it was
 * made for. */
bool kv_table_probe_fits(const struct kv_table *table,
                         const struct kv_table_probe *probe,
                         uint64_t hash);

/* What the slot of a key with this hash that leads to an offset adds to a sum
 * over slots, and what an entry does: equal sums mean the same slots. */
uint64_t kv_table_mix(const struct kv_table *table,
                      uint64_t hash,
                      uint64_t offset);
uint64_t kv_table_mix_entry(const struct kv_table_entry *entry);

/* May there be a slot of a key with this hash? False is certain. */
bool kv_table_may_have(const struct kv_table *table, uint64_t hash);

/* From the empty slot on which a walk has ended on to the next empty one, if
 * has_place. */
void kv_table_probe_skip(const struct kv_table *table,
                         struct kv_table_probe *probe);

/* Stores a line's offset in the slot where the probe stands, and counts it. */
void kv_table_put(struct kv_table *table,
                  struct kv_table_totals *totals,
                  const struct kv_table_probe *probe,
                  uint64_t offset,
                  bool is_flagged);

/* Is there room for one more key beside so many slots in use? */
bool kv_table_has_room(const struct kv_table *table, uint64_t slots_used);
bool kv_table_is_full(const struct kv_table *table,
                      const struct kv_table_totals *totals);

/* May the slots move to another level by the hash bits that they hold? To a
 * lower one always; else so many bits are used up that the keys have to be
 * hashed again. */
bool kv_table_can_spread(const struct kv_table *table, unsigned level);

/* Copies all slots into an empty table of another level and the same seed.
 * False where a slot finds no place there. */
bool kv_table_spread(const struct kv_table *table, struct kv_table *other);

/* The occupied slot at or behind *slot, for walks over the whole table; false
 * at the end. */
bool kv_table_next_entry(const struct kv_table *table,
                         uint64_t *slot,
                         struct kv_table_entry *entry_out);

#endif
