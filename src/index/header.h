/* SPDX-License-Identifier: MIT */

/* The region of memory that a table is in, and its first page: what the table
 * is, whose it is, and the totals that go with its slots. Knows nothing of what
 * is in a slot. */

#ifndef KV_INDEX_HEADER_H
#define KV_INDEX_HEADER_H

#include "log/pointer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the bytes of the log divide, and what was met in it. Live, stale, blank
 * and damaged add up to totals.applied. */
struct kv_table_counts {
    uint64_t keys;            /* Whose newest record is a Set. */
    uint64_t live_bytes;      /* Newest Sets, and unreachable records. */
    uint64_t stale_bytes;     /* Superseded records, and all Removes. */
    uint64_t tombstone_bytes; /* Of the stale: Removes that are the newest. */
    uint64_t blank_bytes;
    uint64_t damaged_bytes;
    uint64_t damaged_records;
    uint64_t damaged_offset;  /* Of the first; UINT64_MAX: none. */
    uint64_t unknown_records; /* Of a newer version. */
    uint64_t unknown_offset;  /* Of the first; UINT64_MAX: none. */
};

/* What the holder of the writers' lock knows of a table besides its slots.
 * Words only: they are published as such. */
struct kv_table_totals {
    uint64_t applied;     /* The log up to here is in the table. */
    uint64_t follows;     /* What kv_fold_follows() says of the line that ends
                             there. */
    uint64_t is_in_doubt; /* 1: some slot or count cannot be relied on. Build
                             anew. */
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

/* Which log, and which kernel's memory, a table belongs to. The number of an
 * inode that is gone is given to another file at once: hence birth and
 * generation, as far as the system knows them; 0: it does not. */
struct kv_table_identity {
    uint64_t log_device;
    uint64_t log_inode;
    uint64_t log_birth_ns;
    uint64_t log_generation;
    uint64_t boot_id[2];
};

/* The first page of a region. What is not atomic is set before any other
 * process can see the region, and never changes. */
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
    _Atomic uint64_t holder_pid; /* The process that took the writers' lock
                                    last, since when (CLOCK_MONOTONIC, ns), and
                                    whether to fold or switch. Information, no
                                    proof. */
    _Atomic uint64_t holder_since;
    _Atomic uint64_t holder_folds;
    _Atomic uint64_t waiting; /* When a process last tried for the lock in vain
                                 (CLOCK_MONOTONIC_COARSE, ns). */

    _Atomic uint64_t slow_until; /* Until then, each write waits a moment for a
                                    compaction (the same clock); or 0. */
    _Atomic uint64_t failed_at;  /* A compaction has failed when so many bytes
                                   were stale; or 0. */

    /* The totals, twice: the chooser says which are the newest. */
    _Atomic uint64_t chooser;
    _Atomic uint64_t totals[2][KV_TABLE_TOTALS_WORDS + 1]; /* And a hash. */
};

/* A region, and copies of what in its header must not change under us. */
struct kv_table {
    struct kv_table_header *header;
    _Atomic uint64_t *slots;
    uint64_t seed;
    uint32_t level;
    uint32_t tag_level;
};

/* The largest region has 4 TiB; 1 GiB where addresses have 32 bits, since one
 * that grows exists twice. A larger one of another program is foreign there. */
#define KV_TABLE_LEVEL_MIN 7u
#define KV_TABLE_LEVEL_MAX (SIZE_MAX > UINT32_MAX ? 36u : 24u)

#define KV_TABLE_HEADER_SIZE 4096u
#define KV_TABLE_BUCKET_SLOTS 8u /* One cache line. */

/* How many levels a table may grow by the hash bits that its slots hold. */
#define KV_TABLE_SPREAD_MAX 9u

/* Slots of a table at a level, and bytes of its region. */
uint64_t kv_table_slot_count(unsigned level);
size_t kv_table_region_size(unsigned level);

/* Formats a region of zeros, aligned for any type, as an empty table whose
 * state is SWITCHING. */
struct kv_table kv_table_format(void *region, unsigned level, uint64_t seed);

/* Completes the part of the header that never changes, before any other process
 * can see the region. */
void kv_table_seal(struct kv_table *table,
                   const struct kv_table_identity *identity);

/* Takes a region that has been sealed. Returns false if the header is not one
 * of ours, of another size, or damaged. */
bool kv_table_attach(void *region, size_t size, struct kv_table *table_out);

/* --- Totals --- */

struct kv_table_totals kv_table_no_totals(void);

/* Publishes totals: a process that dies midway leaves the old ones. Only under
 * the writers' lock. */
void kv_table_store_totals(struct kv_table *table,
                           const struct kv_table_totals *totals);

/* True if totals can be those of some table like this one: counts that add up,
 * no more slots than there are or than that much log can fill. */
bool kv_table_totals_add_up(const struct kv_table *table,
                            const struct kv_table_totals *totals);

/* True if a table with so many slots in use can have this size: one that is
 * larger than at first has grown. */
bool kv_table_is_explained(const struct kv_table *table, uint64_t slots_used);

/* Loads the newest totals. Returns false if they are damaged, or keep
 * changing. */
bool kv_table_load_totals(const struct kv_table *table,
                          struct kv_table_totals *totals_out);

#endif
