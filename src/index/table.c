/* SPDX-License-Identifier: MIT */

/* The hash table. Its callers compare what its slots lead to.
 *
 * Invariants:
 * 1. Every key that occurs in the log up to totals.applied has exactly one slot
 *    without the flag, and it points at the key's newest record, Set or Remove.
 *    A key that a damaged line names also has one slot with the flag, at the
 *    newest such line.
 * 2. A slot is one aligned 64-bit word, stored and loaded atomically; 0 is an
 *    empty one. Its offset only grows. It never moves and is never emptied, so
 *    a walk that meets an empty slot has seen all that there is.
 * 3. A slot is in one of the KV_TABLE_REACH buckets of its hash's walk. The
 *    walk begins at the home bucket and goes on by a step, an odd number that
 *    the tag gives. So it is bounded, and a slot and its place give the home:
 *    bucket - i * step agrees with the home in the low bits for only one i
 *    below KV_TABLE_REACH.
 *
 * A slot, from the low bits on:
 *
 *     offset + 1: 44 | flag: 1 | hash: 19
 *
 * The 19 bits of the hash are its lowest 5, those of the home bucket, and the
 * tag: 14 more from bit tag_level on, which tell keys apart. Growing by one
 * level uses up one of the 14; kv_table_can_spread() keeps 5. */

#include "index/table.h"

#include "os/bounds.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KV_TABLE_REACH 32u

#define OFFSET_BITS 44
#define FLAG_SHIFT OFFSET_BITS
#define HASH_SHIFT (FLAG_SHIFT + 1)
#define HOME_BITS 5
#define TAG_BITS 14
#define TAG_BITS_MIN 5

static_assert(HASH_SHIFT + HOME_BITS + TAG_BITS == 64, "a slot is one word");
static_assert((1u << HOME_BITS) == KV_TABLE_REACH, "the home can be told");
static_assert(KV_OFFSET_MAX == (UINT64_C(1) << OFFSET_BITS) - 1, "offset fits");
static_assert(KV_TABLE_SPREAD_MAX == TAG_BITS - TAG_BITS_MIN,
              "the bits that are left tell keys apart");

/* --- Slots --- */

static uint64_t slot_hash_bits(const struct kv_table *table, uint64_t hash)
{
    uint64_t home_bits = hash & ((1u << HOME_BITS) - 1);
    uint64_t tag = (hash >> table->tag_level) & ((1u << TAG_BITS) - 1);
    return tag << HOME_BITS | home_bits;
}

/* How far apart the buckets of a walk are: odd, so that it comes back to none
 * of them early, and spread over the whole table. */
static uint64_t walk_step(uint64_t hash_bits)
{
    return (hash_bits >> HOME_BITS) * UINT64_C(0x9e3779b97f4a7c16) + 1;
}

static struct kv_table_entry slot_entry(uint64_t word)
{
    return (struct kv_table_entry){.offset = (word & KV_OFFSET_MAX) - 1,
                                   .hash_bits = word >> HASH_SHIFT,
                                   .is_flagged = (word >> FLAG_SHIFT & 1) != 0};
}

static uint64_t load_slot(const struct kv_table *table, uint64_t slot)
{
    return atomic_load_explicit(&table->slots[slot], memory_order_acquire);
}

static void store_slot(struct kv_table *table, uint64_t slot, uint64_t word)
{
    atomic_store_explicit(&table->slots[slot], word, memory_order_release);
}

/* 13 of 16 slots: at worst, just after growing, 19.7 bytes a key. */
static uint64_t room_at(unsigned level)
{
    return kv_table_slot_count(level) / 16 * 13;
}

unsigned kv_table_level_for(uint64_t key_count)
{
    unsigned level = KV_TABLE_LEVEL_MIN;
    while (level < KV_TABLE_LEVEL_MAX && room_at(level) <= key_count) {
        level++;
    }
    return level;
}

uint64_t kv_table_hash(const struct kv_table *table,
                       const void *key,
                       size_t key_size)
{
    return XXH3_64bits_withSeed(key, key_size, table->seed);
}

/* --- Walks --- */

struct kv_table_probe kv_table_probe_start(const struct kv_table *table,
                                           uint64_t hash)
{
    return (struct kv_table_probe){.hash = hash,
                                   .hash_bits = slot_hash_bits(table, hash)};
}

/* Returns the slot that a walk comes to at a step. */
static uint64_t walk_slot(const struct kv_table *table,
                          const struct kv_table_probe *probe,
                          unsigned step)
{
    uint64_t bucket = probe->hash + step / KV_TABLE_BUCKET_SLOTS *
                                        walk_step(probe->hash_bits);
    uint64_t last_bucket = (UINT64_C(1) << table->level) - 1;
    return (bucket & last_bucket) * KV_TABLE_BUCKET_SLOTS +
           step % KV_TABLE_BUCKET_SLOTS;
}

void kv_table_prefetch(const struct kv_table *table, uint64_t hash)
{
    uint64_t last_bucket = (UINT64_C(1) << table->level) - 1;
    __builtin_prefetch((const void *)&table->slots[(hash & last_bucket) *
                                                   KV_TABLE_BUCKET_SLOTS]);
}

bool kv_table_probe_next(const struct kv_table *table,
                         struct kv_table_probe *probe,
                         struct kv_table_entry *entry_out)
{
    while (probe->step < KV_TABLE_REACH * KV_TABLE_BUCKET_SLOTS) {
        probe->slot = walk_slot(table, probe, probe->step);
        uint64_t word = load_slot(table, probe->slot);
        if (word == 0) {
            probe->has_place = true;
            return false;
        }
        probe->step++;
        if (word >> HASH_SHIFT == probe->hash_bits) {
            *entry_out = slot_entry(word);
            probe->has_place = true;
            return true;
        }
    }
    probe->has_place = false;
    return false;
}

bool kv_table_may_have(const struct kv_table *table, uint64_t hash)
{
    struct kv_table_probe probe = kv_table_probe_start(table, hash);
    struct kv_table_entry entry;
    return kv_table_probe_next(table, &probe, &entry);
}

void kv_table_probe_skip(const struct kv_table *table,
                         struct kv_table_probe *probe)
{
    struct kv_table_entry entry;
    probe->step++;
    while (kv_table_probe_next(table, probe, &entry)) {
    }
}

void kv_table_put(struct kv_table *table,
                  struct kv_table_totals *totals,
                  const struct kv_table_probe *probe,
                  uint64_t offset,
                  bool is_flagged)
{
    assert(probe->has_place);
    assert(offset < KV_OFFSET_MAX);
    uint64_t old = load_slot(table, probe->slot);
    if (old != 0 && (slot_entry(old).offset > offset ||
                     slot_entry(old).is_flagged != is_flagged)) {
        totals->is_in_doubt = 1; /* Another process has written to it. */
    }
    if (old == 0) {
        totals->slots_used++;
        totals->slots_flagged += is_flagged ? 1 : 0;
    }
    store_slot(table,
               probe->slot,
               (offset + 1) | (uint64_t)is_flagged << FLAG_SHIFT |
                   probe->hash_bits << HASH_SHIFT);
}

/* --- Sums over slots --- */

/* Bijective, and each bit of the word changes half of the result (MurmurHash3's
 * finalizer, by Austin Appleby). */
static uint64_t mix_word(uint64_t word)
{
    word = (word ^ word >> 33) * UINT64_C(0xff51afd7ed558ccd);
    word = (word ^ word >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return word ^ word >> 33;
}

uint64_t kv_table_mix_entry(const struct kv_table_entry *entry)
{
    return mix_word((entry->offset + 1) | entry->hash_bits << HASH_SHIFT);
}

uint64_t kv_table_mix(const struct kv_table *table,
                      uint64_t hash,
                      uint64_t offset)
{
    const struct kv_table_entry entry = {
        .offset = offset, .hash_bits = slot_hash_bits(table, hash)};
    return kv_table_mix_entry(&entry);
}

/* --- Growth --- */

bool kv_table_has_room(const struct kv_table *table, uint64_t slots_used)
{
    return slots_used < room_at(table->level);
}

static unsigned lower(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

bool kv_table_can_spread(const struct kv_table *table, unsigned level)
{
    return level - lower(level, table->tag_level) <= KV_TABLE_SPREAD_MAX;
}

/* Returns which bucket of its walk a slot is in. The step is odd, so it has an
 * inverse modulo a power of two, by Newton's iteration. */
static uint64_t walk_position(uint64_t bucket, uint64_t hash_bits)
{
    uint64_t step = walk_step(hash_bits);
    uint64_t inverse = step * (2 - step * step); /* Right in 6 bits. */
    return (bucket - hash_bits) * inverse & (KV_TABLE_REACH - 1);
}

/* Returns as much of the hash as a slot and its place give: the bits of its
 * home, and those of its tag. */
static uint64_t known_hash(const struct kv_table *table,
                           uint64_t bucket,
                           uint64_t hash_bits)
{
    uint64_t i = walk_position(bucket, hash_bits);
    uint64_t home = bucket - i * walk_step(hash_bits);
    uint64_t below_tag = home & ((UINT64_C(1) << table->tag_level) - 1);
    return hash_bits >> HOME_BITS << table->tag_level | below_tag;
}

bool kv_table_probe_fits(const struct kv_table *table,
                         const struct kv_table_probe *probe,
                         uint64_t hash)
{
    assert(probe->has_place && probe->step > 0);
    uint64_t known = known_hash(
        table, probe->slot / KV_TABLE_BUCKET_SLOTS, probe->hash_bits);
    uint64_t mask = (UINT64_C(1) << (table->tag_level + TAG_BITS)) - 1;
    return slot_hash_bits(table, hash) == probe->hash_bits &&
           (hash & mask) == (known & mask);
}

/* Stores a word, with new hash bits, in the empty slot at the end of its walk.
 * Returns false if there is none. */
static bool put_at_end(struct kv_table *table, uint64_t hash, uint64_t word)
{
    uint64_t hash_bits = slot_hash_bits(table, hash);
    uint64_t step = walk_step(hash_bits);
    uint64_t last_bucket = (UINT64_C(1) << table->level) - 1;
    word &= (UINT64_C(1) << HASH_SHIFT) - 1;
    word |= hash_bits << HASH_SHIFT;
    for (unsigned i = 0; i < KV_TABLE_REACH; i++) {
        uint64_t first =
            ((hash + i * step) & last_bucket) * KV_TABLE_BUCKET_SLOTS;
        uint64_t taken = 0; /* Counted without a branch to be guessed. */
        for (uint64_t j = 0; j < KV_TABLE_BUCKET_SLOTS; j++) {
            taken += load_slot(table, first + j) != 0 ? 1 : 0;
        }
        if (taken < KV_TABLE_BUCKET_SLOTS) {
            store_slot(table, first + taken, word);
            return true;
        }
    }
    return false;
}

/* Slots whose new places the processor has to wait for: they are stored some
 * slots later. */
#define SPREAD_QUEUE_SIZE 32u

struct spread {
    const struct kv_table *table;
    struct kv_table *other;
    unsigned count;
    uint64_t hashes[SPREAD_QUEUE_SIZE];
    uint64_t words[SPREAD_QUEUE_SIZE];
};

static bool spread_queue(struct spread *spread)
{
    bool fits = true;
    for (unsigned i = 0; i < spread->count && fits; i++) {
        fits = put_at_end(spread->other, spread->hashes[i], spread->words[i]);
    }
    spread->count = 0;
    return fits;
}

static bool spread_slot(struct spread *spread, uint64_t bucket, uint64_t word)
{
    uint64_t hash_bits = word >> HASH_SHIFT;
    uint64_t hash = known_hash(spread->table, bucket, hash_bits);
    if (spread->count == SPREAD_QUEUE_SIZE && !spread_queue(spread)) {
        return false;
    }
    kv_table_prefetch(spread->other, hash);
    spread->hashes[spread->count] = hash;
    spread->words[spread->count] = word;
    spread->count++;
    return true;
}

bool kv_table_spread(const struct kv_table *table, struct kv_table *other)
{
    assert(kv_table_can_spread(table, other->level));
    assert(other->seed == table->seed);
    other->tag_level = lower(other->level, table->tag_level);
    other->header->tag_level = other->tag_level;

    struct spread spread = {.table = table, .other = other};
    for (uint64_t slot = 0; slot < kv_table_slot_count(table->level); slot++) {
        uint64_t word = load_slot(table, slot);
        if (word != 0 &&
            !spread_slot(&spread, slot / KV_TABLE_BUCKET_SLOTS, word)) {
            return false;
        }
    }
    return spread_queue(&spread);
}

bool kv_table_next_entry(const struct kv_table *table,
                         uint64_t *slot,
                         struct kv_table_entry *entry_out)
{
    for (; *slot < kv_table_slot_count(table->level); (*slot)++) {
        uint64_t word = load_slot(table, *slot);
        if (word != 0) {
            *entry_out = slot_entry(word);
            return true;
        }
    }
    return false;
}
