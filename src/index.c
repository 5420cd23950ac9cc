/* SPDX-License-Identifier: MIT */

/* The hash index. What its slots lead to is compared above.
 *
 * Invariants:
 * 1. Every key that occurs in the log up to header->applied has exactly one
 *    slot without the flag, and it points at the key's newest record, Set or
 *    Remove. A key that a damaged line tells has one slot with the flag besides,
 *    at the newest such line.
 * 2. A slot is one aligned 64-bit word, stored and loaded atomically; 0 is an
 *    empty one. Its offset only grows. It never moves and is never emptied, so
 *    a walk that meets an empty slot has seen all that there is.
 * 3. A slot stands in one of the KV_INDEX_REACH buckets from its hash's home
 *    on. So a walk is bounded, and the home can be told from the place and the
 *    low bits of the hash that the slot keeps.
 *
 * A slot, from the low bits on:
 *
 *     offset 44 | size class 5 | flag 1 | hash 14
 *
 * The 14 bits of the hash are its lowest 4, which tell the home, and 10 more
 * from bit tag_level on, which tell keys apart. Growing by one level uses up
 * one of the 10; kv_index_can_spread() keeps 5. */

#include "index.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bounds.h"

#define BUCKET_SLOTS 8u /* One cache line. */
#define KV_INDEX_REACH 16u
#define HEADER_SIZE 4096u

#define OFFSET_BITS 44
#define CLASS_BITS 5
#define CLASS_SHIFT OFFSET_BITS
#define FLAG_SHIFT (CLASS_SHIFT + CLASS_BITS)
#define HASH_SHIFT (FLAG_SHIFT + 1)
#define HOME_BITS 4
#define TAG_BITS 10
#define TAG_BITS_MIN 5

static_assert(HASH_SHIFT + HOME_BITS + TAG_BITS == 64, "a slot is one word");
static_assert((1u << HOME_BITS) == KV_INDEX_REACH, "the home can be told");
static_assert(sizeof(struct kv_index_header) <= HEADER_SIZE, "header fits");
static_assert(KV_OFFSET_MAX == (UINT64_C(1) << OFFSET_BITS) - 1, "offset fits");

static uint64_t slot_count(const struct kv_index *index)
{
    return (uint64_t)BUCKET_SLOTS << index->header->level;
}

/* --- Size classes: 32, 64, 128, ... bytes --- */

static uint64_t class_size(unsigned class)
{
    return UINT64_C(32) << (class - 1);
}

/* Never 0, so that no pointer makes an empty slot. */
static unsigned size_class(uint64_t length)
{
    unsigned class = 1;
    while (class_size(class) < length && class < (1u << CLASS_BITS) - 1) {
        class++;
    }
    return class;
}

/* --- Slots --- */

static uint64_t slot_hash_bits(const struct kv_index *index, uint64_t hash)
{
    uint64_t home_bits = hash & ((1u << HOME_BITS) - 1);
    uint64_t tag = (hash >> index->header->tag_level) & ((1u << TAG_BITS) - 1);
    return tag << HOME_BITS | home_bits;
}

static struct kv_index_entry slot_entry(uint64_t word)
{
    unsigned class =
        (unsigned)(word >> CLASS_SHIFT) & ((1u << CLASS_BITS) - 1);
    uint64_t size = class_size(class == 0 ? 1 : class);
    return (struct kv_index_entry){
        .offset = word & KV_OFFSET_MAX,
        .about_size = size < KV_LINE_SIZE_MAX ? (size_t)size : KV_LINE_SIZE_MAX,
        .is_flagged = (word >> FLAG_SHIFT & 1) != 0};
}

static uint64_t load_slot(const struct kv_index *index, uint64_t slot)
{
    return atomic_load_explicit(&index->slots[slot], memory_order_acquire);
}

static void store_slot(struct kv_index *index, uint64_t slot, uint64_t word)
{
    atomic_store_explicit(&index->slots[slot], word, memory_order_release);
}

/* --- Regions --- */

size_t kv_index_region_size(unsigned level)
{
    assert(level <= KV_INDEX_LEVEL_MAX);
    return HEADER_SIZE + ((sizeof(uint64_t) * BUCKET_SLOTS) << level);
}

/* 13 of 16 slots: at the worst, just after growing, 19.7 bytes a key. */
static uint64_t room_at(unsigned level)
{
    return ((uint64_t)BUCKET_SLOTS << level) / 16 * 13;
}

unsigned kv_index_level_for(uint64_t key_count)
{
    unsigned level = KV_INDEX_LEVEL_MIN;
    while (level < KV_INDEX_LEVEL_MAX && room_at(level) <= key_count) {
        level++;
    }
    return level;
}

struct kv_index kv_index_format(void *region, unsigned level, uint64_t seed)
{
    assert(level >= KV_INDEX_LEVEL_MIN && level <= KV_INDEX_LEVEL_MAX);
    memset(region, 0, kv_index_region_size(level));
    struct kv_index index = {
        .header = region,
        .slots = (_Atomic uint64_t *)(void *)((char *)region + HEADER_SIZE)};
    index.header->seed = seed;
    index.header->level = level;
    index.header->tag_level = level;
    index.header->counts.damaged_offset = UINT64_MAX;
    return index;
}

uint64_t kv_index_hash(const struct kv_index *index,
                       const void *key,
                       size_t key_size)
{
    return XXH3_64bits_withSeed(key, key_size, index->header->seed);
}

/* --- Walks --- */

struct kv_index_probe kv_index_probe_start(const struct kv_index *index,
                                           uint64_t hash)
{
    uint64_t home = hash & ((UINT64_C(1) << index->header->level) - 1);
    return (struct kv_index_probe){.hash = hash, .slot = home * BUCKET_SLOTS};
}

bool kv_index_probe_next(const struct kv_index *index,
                         struct kv_index_probe *probe,
                         struct kv_index_entry *entry_out)
{
    uint64_t home = kv_index_probe_start(index, probe->hash).slot;
    uint64_t hash_bits = slot_hash_bits(index, probe->hash);
    while (probe->step < KV_INDEX_REACH * BUCKET_SLOTS) {
        probe->slot = (home + probe->step) & (slot_count(index) - 1);
        uint64_t word = load_slot(index, probe->slot);
        if (word == 0) {
            probe->has_place = true;
            return false;
        }
        probe->step++;
        if (word >> HASH_SHIFT == hash_bits) {
            *entry_out = slot_entry(word);
            probe->has_place = true;
            return true;
        }
    }
    probe->has_place = false;
    return false;
}

void kv_index_put(struct kv_index *index,
                  const struct kv_index_probe *probe,
                  struct kv_log_pointer pointer,
                  bool is_flagged)
{
    assert(probe->has_place);
    assert(pointer.offset <= KV_OFFSET_MAX);
    uint64_t old = load_slot(index, probe->slot);
    assert(old == 0 || slot_entry(old).offset <= pointer.offset);
    assert(old == 0 || slot_entry(old).is_flagged == is_flagged);
    if (old == 0) {
        index->header->slots_used++;
        index->header->slots_flagged += is_flagged ? 1 : 0;
    }
    store_slot(index,
               probe->slot,
               pointer.offset |
                   (uint64_t)size_class(pointer.length) << CLASS_SHIFT |
                   (uint64_t)is_flagged << FLAG_SHIFT |
                   slot_hash_bits(index, probe->hash) << HASH_SHIFT);
}

/* --- Growth --- */

bool kv_index_is_full(const struct kv_index *index)
{
    return index->header->slots_used >= room_at(index->header->level);
}

bool kv_index_can_spread(const struct kv_index *index)
{
    unsigned used_up = index->header->level - index->header->tag_level;
    return used_up < TAG_BITS - TAG_BITS_MIN;
}

/* As much of the hash as a slot and its place tell: the bits of its home, and
 * those of its tag. */
static uint64_t known_hash(const struct kv_index *index, uint64_t slot)
{
    const struct kv_index_header *header = index->header;
    uint64_t hash_bits = load_slot(index, slot) >> HASH_SHIFT;
    uint64_t bucket = slot / BUCKET_SLOTS;
    uint64_t distance = (bucket - hash_bits) & (KV_INDEX_REACH - 1);
    uint64_t home =
        (bucket - distance) & ((UINT64_C(1) << header->level) - 1);
    uint64_t below_tag = home & ((UINT64_C(1) << header->tag_level) - 1);
    return hash_bits >> HOME_BITS << header->tag_level | below_tag;
}

bool kv_index_spread(const struct kv_index *index, struct kv_index *larger)
{
    assert(kv_index_can_spread(index));
    assert(larger->header->level == index->header->level + 1);
    uint32_t level = larger->header->level;
    *larger->header = *index->header;
    larger->header->level = level;

    for (uint64_t slot = 0; slot < slot_count(index); slot++) {
        uint64_t word = load_slot(index, slot);
        if (word == 0) {
            continue;
        }
        struct kv_index_probe probe =
            kv_index_probe_start(larger, known_hash(index, slot));
        struct kv_index_entry other;
        while (kv_index_probe_next(larger, &probe, &other)) {
        }
        if (!probe.has_place) {
            return false;
        }
        store_slot(larger, probe.slot, word);
    }
    return true;
}

bool kv_index_next_entry(const struct kv_index *index,
                         uint64_t *slot,
                         struct kv_index_entry *entry_out)
{
    for (; *slot < slot_count(index); (*slot)++) {
        uint64_t word = load_slot(index, *slot);
        if (word != 0) {
            *entry_out = slot_entry(word);
            return true;
        }
    }
    return false;
}
