/* SPDX-License-Identifier: MIT */

/* The hash table. What its slots lead to is compared above.
 *
 * Invariants:
 * 1. Every key that occurs in the log up to totals.applied has exactly one
 *    slot without the flag, and it points at the key's newest record, Set or
 *    Remove. A key that a damaged line tells has one slot with the flag besides,
 *    at the newest such line.
 * 2. A slot is one aligned 64-bit word, stored and loaded atomically; 0 is an
 *    empty one. Its offset only grows. It never moves and is never emptied, so
 *    a walk that meets an empty slot has seen all that there is.
 * 3. A slot stands in one of the KV_TABLE_REACH buckets of its hash's walk. The
 *    walk begins at the home bucket and goes on by a step, an odd number that
 *    the tag tells. So it is bounded, and from a slot and its place the home can
 *    be told: bucket - i * step agrees with the home in the low bits for one i
 *    below KV_TABLE_REACH only.
 * 4. Totals are published after the slots that they count. So who finds slots
 *    beyond totals.applied knows that a writer died between the two.
 *
 * A slot, from the low bits on:
 *
 *     offset + 1: 44 | flag: 1 | hash: 19
 *
 * The 19 bits of the hash are its lowest 5, those of the home bucket, and the
 * tag: 14 more from bit tag_level on, which tell keys apart. Growing by one
 * level uses up one of the 14; kv_table_can_spread() keeps 5. */

#include "index/table.h"

#include "os/system.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include "os/bounds.h"

#include <xxhash.h>

#define BUCKET_SLOTS 8u /* One cache line. */
#define KV_TABLE_REACH 32u
#define HEADER_SIZE KV_TABLE_HEADER_SIZE

/* "kvindex" and a number that changes with the layout. As one word it also
 * tells the byte order. */
#define MAGIC (UINT64_C(0x007865646e69766b) | UINT64_C(4) << 56)

/* The shortest line that tells a key of one byte: {"Set":{"key":"k", */
#define KEYED_LINE_SIZE_MIN 16u

/* A table that is larger than at first has grown, when the half of it or, where
 * walks had become too long, a part of that was full. */
#define FIRST_REGION_SIZE_MAX ((uint64_t)17 << 20)
#define LEAST_USED_SHARE 64u

/* How often a reader of totals tries again when they change under it. */
#define LOAD_TRIES 1000

#define OFFSET_BITS 44
#define FLAG_SHIFT OFFSET_BITS
#define HASH_SHIFT (FLAG_SHIFT + 1)
#define HOME_BITS 5
#define TAG_BITS 14
#define TAG_BITS_MIN 5

static_assert(HASH_SHIFT + HOME_BITS + TAG_BITS == 64, "a slot is one word");
static_assert((1u << HOME_BITS) == KV_TABLE_REACH, "the home can be told");
static_assert(sizeof(struct kv_table_header) <= HEADER_SIZE, "header fits");
static_assert(KV_OFFSET_MAX == (UINT64_C(1) << OFFSET_BITS) - 1, "offset fits");
static_assert(SIZE_MAX >> KV_TABLE_LEVEL_MAX > sizeof(uint64_t) * BUCKET_SLOTS,
              "the size of a region can be told");

/* Programs of 32 and of 64 bits share a table, if their byte order is one. So
 * its layout may not depend on how a compiler aligns words of 64 bits, nor may
 * such a word be behind a lock, which other processes would not see. */
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 &&
                  sizeof(_Atomic uint64_t) == sizeof(uint64_t),
              "words of 64 bits are atomic by themselves");
static_assert(offsetof(struct kv_table_header, state) == 88 &&
                  offsetof(struct kv_table_header, mount_ids) == 120 &&
                  offsetof(struct kv_table_header, totals) == 240 &&
                  sizeof(struct kv_table_header) == 560,
              "the header is laid out as docs/format.md has it");

static uint64_t slot_count(const struct kv_table *table)
{
    return (uint64_t)BUCKET_SLOTS << table->level;
}

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

/* --- Regions --- */

size_t kv_table_region_size(unsigned level)
{
    assert(level <= KV_TABLE_LEVEL_MAX);
    return HEADER_SIZE + ((sizeof(uint64_t) * BUCKET_SLOTS) << level);
}

/* 13 of 16 slots: at the worst, just after growing, 19.7 bytes a key. */
static uint64_t room_at(unsigned level)
{
    return ((uint64_t)BUCKET_SLOTS << level) / 16 * 13;
}

unsigned kv_table_level_for(uint64_t key_count)
{
    unsigned level = KV_TABLE_LEVEL_MIN;
    while (level < KV_TABLE_LEVEL_MAX && room_at(level) <= key_count) {
        level++;
    }
    return level;
}

static struct kv_table table_in(void *region)
{
    const struct kv_table_header *header = region;
    return (struct kv_table){
        .header = region,
        .slots = (_Atomic uint64_t *)(void *)((char *)region + HEADER_SIZE),
        .seed = header->seed,
        .level = header->level,
        .tag_level = header->tag_level};
}

struct kv_table kv_table_format(void *region, unsigned level, uint64_t seed)
{
    assert(level >= KV_TABLE_LEVEL_MIN && level <= KV_TABLE_LEVEL_MAX);
    struct kv_table_header *header = region;
    header->magic = MAGIC;
    header->region_size = kv_table_region_size(level);
    header->seed = seed;
    header->level = level;
    header->tag_level = level;
    atomic_store(&header->state, KV_TABLE_SWITCHING);
    struct kv_table table = table_in(region);
    struct kv_table_totals totals = kv_table_no_totals();
    kv_table_store_totals(&table, &totals);
    return table;
}

static uint64_t fixed_hash(const struct kv_table_header *header)
{
    return XXH3_64bits(header, offsetof(struct kv_table_header, fixed_hash));
}

void kv_table_seal(struct kv_table *table,
                   const struct kv_table_identity *identity)
{
    table->header->identity = *identity;
    table->header->fixed_hash = fixed_hash(table->header);
}

bool kv_table_attach(void *region, size_t size, struct kv_table *table_out)
{
    assert(size >= HEADER_SIZE);
    *table_out = table_in(region);
    const struct kv_table *table = table_out;
    return table->header->magic == MAGIC &&
           table->header->fixed_hash == fixed_hash(table->header) &&
           table->level >= KV_TABLE_LEVEL_MIN &&
           table->level <= KV_TABLE_LEVEL_MAX &&
           table->tag_level >= KV_TABLE_LEVEL_MIN &&
           table->tag_level <= table->level &&
           kv_table_can_spread(table, table->level) &&
           table->header->region_size == size &&
           size == kv_table_region_size(table->level);
}

/* --- Totals --- */

struct kv_table_totals kv_table_no_totals(void)
{
    return (struct kv_table_totals){.counts.damaged_offset = UINT64_MAX,
                                    .counts.unknown_offset = UINT64_MAX};
}

void kv_table_store_totals(struct kv_table *table,
                           const struct kv_table_totals *totals)
{
    struct kv_table_header *header = table->header;
    uint64_t words[KV_TABLE_TOTALS_WORDS + 1];
    memcpy(words, totals, sizeof *totals);
    words[KV_TABLE_TOTALS_WORDS] = XXH3_64bits(totals, sizeof *totals);

    uint64_t next = (atomic_load(&header->chooser) + 1) % 2;
    for (size_t i = 0; i <= KV_TABLE_TOTALS_WORDS; i++) {
        atomic_store_explicit(
            &header->totals[next][i], words[i], memory_order_relaxed);
        if (i == KV_TABLE_TOTALS_WORDS / 2) {
            kv_io_step("half totals");
        }
    }
    atomic_store_explicit(&header->chooser, next, memory_order_release);
}

bool kv_table_load_totals(const struct kv_table *table,
                          struct kv_table_totals *totals_out)
{
    const struct kv_table_header *header = table->header;
    for (int i = 0; i < LOAD_TRIES; i++) {
        uint64_t words[KV_TABLE_TOTALS_WORDS + 1];
        uint64_t chosen = atomic_load(&header->chooser) % 2;
        for (size_t j = 0; j <= KV_TABLE_TOTALS_WORDS; j++) {
            words[j] = atomic_load_explicit(&header->totals[chosen][j],
                                            memory_order_relaxed);
        }
        memcpy(totals_out, words, sizeof *totals_out);
        if (XXH3_64bits(totals_out, sizeof *totals_out) ==
            words[KV_TABLE_TOTALS_WORDS]) {
            return true;
        }
    }
    return false;
}

bool kv_table_totals_add_up(const struct kv_table *table,
                            const struct kv_table_totals *totals)
{
    const struct kv_table_counts *counts = &totals->counts;
    const uint64_t parts[] = {counts->live_bytes,
                              counts->stale_bytes,
                              counts->blank_bytes,
                              counts->damaged_bytes};
    uint64_t left = totals->applied;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i] > left) {
            return false;
        }
        left -= parts[i];
    }
    return left == 0 && totals->applied <= KV_OFFSET_MAX &&
           counts->tombstone_bytes <= counts->stale_bytes &&
           counts->damaged_records <= counts->damaged_bytes &&
           totals->last.offset <= totals->applied &&
           totals->last.length <= totals->applied - totals->last.offset &&
           counts->keys <= totals->slots_used &&
           totals->slots_flagged <= totals->slots_used &&
           totals->slots_used <= slot_count(table) &&
           totals->slots_used <= totals->applied / KEYED_LINE_SIZE_MIN;
}

bool kv_table_is_explained(const struct kv_table *table, uint64_t slots_used)
{
    return kv_table_region_size(table->level) <= FIRST_REGION_SIZE_MAX ||
           slots_used >= slot_count(table) / LEAST_USED_SHARE;
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

/* The slot that a walk comes to at a step. */
static uint64_t walk_slot(const struct kv_table *table,
                          const struct kv_table_probe *probe,
                          unsigned step)
{
    uint64_t bucket =
        probe->hash + step / BUCKET_SLOTS * walk_step(probe->hash_bits);
    uint64_t last_bucket = (UINT64_C(1) << table->level) - 1;
    return (bucket & last_bucket) * BUCKET_SLOTS + step % BUCKET_SLOTS;
}

void kv_table_prefetch(const struct kv_table *table, uint64_t hash)
{
    uint64_t last_bucket = (UINT64_C(1) << table->level) - 1;
    __builtin_prefetch(
        (const void *)&table->slots[(hash & last_bucket) * BUCKET_SLOTS]);
}

bool kv_table_probe_next(const struct kv_table *table,
                         struct kv_table_probe *probe,
                         struct kv_table_entry *entry_out)
{
    while (probe->step < KV_TABLE_REACH * BUCKET_SLOTS) {
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
    assert(old == 0 || slot_entry(old).offset <= offset);
    assert(old == 0 || slot_entry(old).is_flagged == is_flagged);
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

bool kv_table_is_full(const struct kv_table *table,
                      const struct kv_table_totals *totals)
{
    return !kv_table_has_room(table, totals->slots_used);
}

static unsigned lower(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

bool kv_table_can_spread(const struct kv_table *table, unsigned level)
{
    return level - lower(level, table->tag_level) <= TAG_BITS - TAG_BITS_MIN;
}

/* Which bucket of its walk a slot stands in. The step is odd, so it has an
 * inverse modulo a power of two, by Newton's iteration. */
static uint64_t walk_position(uint64_t bucket, uint64_t hash_bits)
{
    uint64_t step = walk_step(hash_bits);
    uint64_t inverse = step * (2 - step * step); /* Right in 6 bits. */
    return (bucket - hash_bits) * inverse & (KV_TABLE_REACH - 1);
}

/* As much of the hash as a slot and its place tell: the bits of its home, and
 * those of its tag. */
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
    uint64_t known =
        known_hash(table, probe->slot / BUCKET_SLOTS, probe->hash_bits);
    uint64_t mask = (UINT64_C(1) << (table->tag_level + TAG_BITS)) - 1;
    return slot_hash_bits(table, hash) == probe->hash_bits &&
           (hash & mask) == (known & mask);
}

/* Stores a word, its hash bits apart, on the empty slot at the end of its
 * walk. */
static bool put_at_end(struct kv_table *table, uint64_t hash, uint64_t word)
{
    uint64_t hash_bits = slot_hash_bits(table, hash);
    uint64_t step = walk_step(hash_bits);
    uint64_t last_bucket = (UINT64_C(1) << table->level) - 1;
    word &= (UINT64_C(1) << HASH_SHIFT) - 1;
    word |= hash_bits << HASH_SHIFT;
    for (unsigned i = 0; i < KV_TABLE_REACH; i++) {
        uint64_t first = ((hash + i * step) & last_bucket) * BUCKET_SLOTS;
        uint64_t taken = 0; /* Counted without a branch to be guessed. */
        for (uint64_t j = 0; j < BUCKET_SLOTS; j++) {
            taken += load_slot(table, first + j) != 0 ? 1 : 0;
        }
        if (taken < BUCKET_SLOTS) {
            store_slot(table, first + taken, word);
            return true;
        }
    }
    return false;
}

/* Slots that are to go where the processor has to wait for memory: they are
 * stored some slots later. */
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
    for (uint64_t slot = 0; slot < slot_count(table); slot++) {
        uint64_t word = load_slot(table, slot);
        if (word != 0 && !spread_slot(&spread, slot / BUCKET_SLOTS, word)) {
            return false;
        }
    }
    return spread_queue(&spread);
}

bool kv_table_next_entry(const struct kv_table *table,
                         uint64_t *slot,
                         struct kv_table_entry *entry_out)
{
    for (; *slot < slot_count(table); (*slot)++) {
        uint64_t word = load_slot(table, *slot);
        if (word != 0) {
            *entry_out = slot_entry(word);
            return true;
        }
    }
    return false;
}
