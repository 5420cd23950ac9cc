/* SPDX-License-Identifier: MIT */

/* The region of memory that a table is in, and its first page: what the table is,
 * whose it is, and the totals that go with its slots. Knows nothing of what is in
 * a slot. */

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

/* Completes what of the header stays as it is: before anybody else can see the
 * region. */
void kv_table_seal(struct kv_table *table,
                   const struct kv_table_identity *identity);

/* Takes a region that somebody has sealed. False where the header is not one of
 * ours, of another size, or damaged. */
bool kv_table_attach(void *region, size_t size, struct kv_table *table_out);

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

#endif
