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
    uint64_t expiring_keys; /* Of the keys: those that may expire, whether or */
    uint64_t expiring_bytes; /* not they have; and of the live bytes. */
    uint64_t blank_bytes;
    uint64_t damaged_bytes;
    uint64_t damaged_records;
    uint64_t damaged_offset;  /* Of the first; UINT64_MAX: none. */
    uint64_t unknown_records; /* Of a newer version. */
    uint64_t unknown_offset;  /* Of the first; UINT64_MAX: none. */
};

/* What the holder of the writers' lock knows of a table besides its slots.
 * Words only: they are published as such, the first of them last. */
struct kv_table_totals {
    uint64_t applied; /* The log up to here is in the table. */
    uint64_t follows; /* What kv_fold_follows() says of the line that ends
                         there. */
    uint64_t slots_used;
    uint64_t damage_slots; /* Of these. */
    uint64_t compactions;
    struct kv_log_pointer last; /* The last line applied that was read as a
                                   whole, and its kv_index_line_sum(). */
    uint64_t last_sum;
    struct kv_table_counts counts;
};

#define KV_TABLE_TOTALS_WORDS (sizeof(struct kv_table_totals) / 8)
#define KV_TABLE_BOOTS 4
#define KV_TABLE_MOUNTS 8

/* What the holder of the writers' lock is at; what the next one finds. */
enum kv_table_writing {
    KV_TABLE_AT_REST,    /* The log ends at totals.applied, in a newline. */
    KV_TABLE_APPENDING,  /* It may not. No slot leads past totals.applied. */
    KV_TABLE_PUBLISHING, /* Slots may, and totals may be half stored: unless
                            this handle is at it, the table must be built
                            anew. */
};

/* Anything else counts as superseded. */
enum kv_table_state {
    KV_TABLE_LIVE = 0x4c495645,
    KV_TABLE_SWITCHING = 0x53574954,
    KV_TABLE_SUPERSEDED = 0x53555045
};

/* Which log a table belongs to. The number of an inode that is gone is given to
 * another file at once: hence birth and generation, as far as the system knows
 * them; 0: it does not. */
struct kv_table_identity {
    uint64_t log_device;
    uint64_t log_inode;
    uint64_t log_birth_ns;
    uint64_t log_generation;
};

/* How the log of a table came out of another one by compaction: the changes that
 * the old one lacks begin here in the new one. Zeros: it is not known to have.
 * Set before any other process can see the table. */
struct kv_table_succession {
    uint64_t log_inode; /* The old log, on the same device, */
    uint64_t log_end;   /* ended here, */
    uint64_t log_sum;   /* and this was its totals.last_sum. */
    uint64_t begin;     /* The new log's own changes begin here, after a line */
    uint64_t last_length; /* of so many bytes, and of */
    uint64_t last_sum;    /* this kv_index_line_sum(). */
};
#define KV_TABLE_SUCCESSION_WORDS (sizeof(struct kv_table_succession) / 8)

/* Of the hash: whoever does not know it cannot make keys collide. */
#define KV_TABLE_SECRET_WORDS 24
struct kv_table_secret {
    uint64_t words[KV_TABLE_SECRET_WORDS];
};

/* The first page of a region. What is not atomic is set before any other
 * process can see the region, and never changes. */
struct kv_table_header {
    uint64_t magic; /* Format, byte order and layout in one. */
    uint64_t region_size;
    uint64_t bucket_count;
    struct kv_table_identity identity;
    struct kv_table_secret secret;
    uint64_t fixed_hash; /* Of all above. */

    /* Read by every call, and rarely stored. */
    _Atomic uint64_t state;
    _Atomic uint64_t has_damage;     /* Some slot tells of damage. */
    _Atomic uint64_t poisoned_inode; /* A sync of this log has failed; or 0. */
    _Atomic uint64_t slow_until; /* Until then, each write waits a moment for a
                                    compaction (CLOCK_MONOTONIC_COARSE, ns); or
                                    0. */
    _Atomic uint64_t failed_at;  /* A compaction has failed when so many bytes
                                   were stale or might expire; or 0. */
    /* In which boots, and through which mounts, it has been found, or made,
     * true to its log; 0: none. */
    _Atomic uint64_t boot_ids[KV_TABLE_BOOTS];
    _Atomic uint64_t mount_ids[KV_TABLE_MOUNTS];
    _Atomic uint64_t kept; /* Bytes of the log that were neither stale nor
                              expired after the last compaction, or when the
                              table was built. */
    /* Which log its log has followed: struct kv_table_succession. */
    _Atomic uint64_t succession[KV_TABLE_SUCCESSION_WORDS];

    /* Stored by every write. */
    _Atomic uint64_t writing; /* enum kv_table_writing */
    _Atomic uint64_t end;     /* The log up to here is whole, and acknowledged
                                 or about to be. */
    _Atomic uint64_t totals[KV_TABLE_TOTALS_WORDS];
    _Atomic uint64_t holder_pid; /* The process that has the writers' lock,
                                    since when (CLOCK_MONOTONIC_COARSE, ns), and
                                    whether it folds. Information, no proof. */
    _Atomic uint64_t holder_since;
    _Atomic uint64_t holder_folds;
    _Atomic uint64_t waiting; /* When a process last tried for the lock in vain
                                 (CLOCK_MONOTONIC_COARSE, ns). */
};

/* A region, and copies of what in its header must not change under us. */
struct kv_table {
    struct kv_table_header *header;
    _Atomic uint64_t *words; /* Two for each slot: tag and pointer. */
    uint64_t bucket_count;
    struct kv_table_secret secret;
};

/* The largest region has 256 GiB, for twelve thousand million keys; 1 GiB where
 * addresses have 32 bits, since one that grows exists twice. A larger one of
 * another program is foreign there. */
#define KV_TABLE_BUCKETS_MIN 64u
#define KV_TABLE_BUCKETS_MAX \
    (SIZE_MAX > UINT32_MAX ? UINT64_C(0xffffffff) : UINT64_C(0xffffff))

#define KV_TABLE_HEADER_SIZE 4096u
#define KV_TABLE_BUCKET_SLOTS 4u /* One cache line. */
#define KV_TABLE_BUCKET_SIZE 64u

/* Bytes of the region of a table with so many buckets. */
size_t kv_table_region_size(uint64_t bucket_count);

/* Formats a region, aligned for any type, whose first page is zeros, as a table
 * whose state is SWITCHING; what follows that page are its slots. */
struct kv_table kv_table_format(void *region,
                                uint64_t bucket_count,
                                const struct kv_table_secret *secret);

/* Completes the part of the header that never changes, before any other process
 * can see the region. */
void kv_table_seal(struct kv_table *table,
                   const struct kv_table_identity *identity);

/* Takes a region that has been sealed. Returns false if the header is not one
 * of ours, of another size, or damaged. */
bool kv_table_attach(void *region, size_t size, struct kv_table *table_out);

/* Copies to a table for the same log what was noted in another one while it was
 * in use. */
void kv_table_inherit(const struct kv_table *from, struct kv_table *to);

/* Notes in a table, not in use yet, that its log follows another one, of which
 * these are inode and totals: whatever the old log held is in the new one, up to
 * the totals of the table. Notes nothing if the new log's last line is damaged:
 * what follows that is not judged by itself. */
void kv_table_succeed(struct kv_table *table,
                      const struct kv_table_totals *totals,
                      uint64_t old_inode,
                      const struct kv_table_totals *old_totals);
struct kv_table_succession kv_table_succession(const struct kv_table *table);

void kv_table_set_writing(const struct kv_table *table,
                          enum kv_table_writing writing);
enum kv_table_writing kv_table_writing(const struct kv_table *table);

/* --- Totals --- */

struct kv_table_totals kv_table_no_totals(void);

/* Stores the totals, applied last; and loads them. Under the writers' lock they
 * are exact, unless their writer died. */
void kv_table_store_totals(struct kv_table *table,
                           const struct kv_table_totals *totals);
struct kv_table_totals kv_table_peek_totals(const struct kv_table *table);

/* Up to where the log is applied: all of it is published. */
static inline uint64_t kv_table_applied(const struct kv_table *table)
{
    return atomic_load_explicit(&table->header->totals[0],
                                memory_order_acquire);
}

/* Loads the totals without the lock. Returns false if they keep changing, or
 * their writer died: then they are not of one moment. */
bool kv_table_load_totals(const struct kv_table *table,
                          struct kv_table_totals *totals_out);

/* True if totals can be those of some table like this one: counts that add up,
 * no more slots than there are or than that much log can fill. */
bool kv_table_totals_add_up(const struct kv_table *table,
                            const struct kv_table_totals *totals);

/* True if a table with so many slots in use can have this size: one that is
 * larger than at first has grown. */
bool kv_table_is_explained(const struct kv_table *table, uint64_t slots_used);

#endif
