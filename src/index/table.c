/* SPDX-License-Identifier: MIT */

/* The hash table.
 *
 * Invariants:
 * 1. Every key that occurs in the log up to totals.applied has exactly one slot
 *    that does not tell of damage, and it points at the key's newest record, Set
 *    or Remove. A key that a damaged line names also has one that does, at the
 *    newest such line.
 * 2. A slot is two words: the tag, 64 bits of the key's hash, and the pointer.
 *    Tag 0 is an empty slot, whatever its pointer. The pointer is stored first,
 *    then the tag, once; from then on only the pointer changes. So a walk that
 *    loads a tag finds a pointer that was stored for it; and a writer that died
 *    between the two has left an empty slot, since whoever takes it stores its
 *    pointer anew.
 * 3. Every store of a pointer or a tag is a release, every load an acquire. The
 *    log's end, in the header, is stored before a pointer that leads up to it,
 *    and loaded after one: what a pointer leads to is in the log.
 * 4. A slot never moves and is never emptied. A walk begins at the bucket that
 *    the tag names and goes on from bucket to bucket; so one that meets an empty
 *    slot has seen all that there is.
 *
 * A pointer, from the low bits on:
 *
 *     offset: 40 | length: 12 | kind: 2 | hash: 10 */

#include "index/table.h"

#include "os/bounds.h"
#include "os/system.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define OFFSET_BITS 40
#define LENGTH_SHIFT OFFSET_BITS
#define LENGTH_BITS 12
#define KIND_SHIFT (LENGTH_SHIFT + LENGTH_BITS)
#define KIND_BITS 2
#define CHECK_SHIFT (KIND_SHIFT + KIND_BITS)
#define CHECK_BITS 10

static_assert(CHECK_SHIFT + CHECK_BITS == 64, "a pointer is one word");
static_assert(KV_OFFSET_MAX == (UINT64_C(1) << OFFSET_BITS) - 1, "offset fits");
static_assert(KV_TABLE_LENGTH_LONG == (UINT64_C(1) << LENGTH_BITS) - 1,
              "length fits");
static_assert(sizeof(struct kv_table_secret) >= XXH3_SECRET_SIZE_MIN,
              "the secret is long enough");
static_assert(KV_TABLE_BUCKET_SIZE ==
                  KV_TABLE_BUCKET_SLOTS * sizeof(struct kv_table_slot),
              "slots fill a bucket");

/* Tests hash fewer bytes of a key, so that two share their hash. */
#ifndef KV_TABLE_HASHED_SIZE
#define KV_TABLE_HASHED_SIZE SIZE_MAX
#endif

/* A table that is made for keys that are known has some room for others. */
#define SPARE_SHARE 8u

/* --- Sizes --- */

/* Three of four slots. */
static uint64_t room_of(uint64_t bucket_count)
{
    return bucket_count * KV_TABLE_BUCKET_SLOTS / 4 * 3;
}

uint64_t kv_table_buckets_for(uint64_t key_count)
{
    uint64_t wanted = key_count + key_count / SPARE_SHARE;
    uint64_t bucket_count = wanted / 3 + 1;
    return bucket_count < KV_TABLE_BUCKETS_MIN   ? KV_TABLE_BUCKETS_MIN
           : bucket_count > KV_TABLE_BUCKETS_MAX ? KV_TABLE_BUCKETS_MAX
                                                 : bucket_count;
}

uint64_t kv_table_room(const struct kv_table *table)
{
    return room_of(table->bucket_count);
}

/* --- Hashes --- */

struct kv_table_hash kv_table_hash(const struct kv_table *table,
                                   const void *key,
                                   size_t key_size)
{
    size_t size =
        key_size < KV_TABLE_HASHED_SIZE ? key_size : KV_TABLE_HASHED_SIZE;
    XXH128_hash_t hash = XXH3_128bits_withSecret(
        key, size, table->secret.words, sizeof table->secret.words);
    return (struct kv_table_hash){.tag = hash.low64 == 0 ? 1 : hash.low64,
                                  .check = hash.high64 >> (64 - CHECK_BITS)};
}

/* --- Slots --- */

struct kv_table_entry kv_table_entry_of(struct kv_table_slot slot)
{
    uint64_t word = slot.pointer;
    return (struct kv_table_entry){
        .pointer = {.offset = word & KV_OFFSET_MAX,
                    .length = word >> LENGTH_SHIFT & KV_TABLE_LENGTH_LONG},
        .kind = (enum kv_table_kind)(word >> KIND_SHIFT & 3)};
}

struct kv_table_hash kv_table_hash_of(struct kv_table_slot slot)
{
    return (struct kv_table_hash){.tag = slot.tag,
                                  .check = slot.pointer >> CHECK_SHIFT};
}

struct kv_table_slot kv_table_slot_of(struct kv_table_hash hash,
                                      const struct kv_table_entry *entry)
{
    assert(entry->pointer.offset <= KV_OFFSET_MAX);
    uint64_t length = entry->pointer.length < KV_TABLE_LENGTH_LONG
                          ? entry->pointer.length
                          : KV_TABLE_LENGTH_LONG;
    return (struct kv_table_slot){
        .tag = hash.tag,
        .pointer = entry->pointer.offset | length << LENGTH_SHIFT |
                   (uint64_t)entry->kind << KIND_SHIFT |
                   hash.check << CHECK_SHIFT};
}

static uint64_t load_tag(const struct kv_table *table, uint64_t slot)
{
    return atomic_load_explicit(&table->words[slot * 2], memory_order_acquire);
}

static uint64_t load_pointer(const struct kv_table *table, uint64_t slot)
{
    return atomic_load_explicit(&table->words[slot * 2 + 1],
                                memory_order_acquire);
}

static void store_tag(struct kv_table *table, uint64_t slot, uint64_t tag)
{
    atomic_store_explicit(&table->words[slot * 2], tag, memory_order_release);
}

static void store_pointer(struct kv_table *table, uint64_t slot, uint64_t word)
{
    atomic_store_explicit(
        &table->words[slot * 2 + 1], word, memory_order_release);
}

struct kv_table_slot kv_table_load(const struct kv_table *table, uint64_t slot)
{
    struct kv_table_slot loaded = {.tag = load_tag(table, slot)};
    loaded.pointer = loaded.tag == 0 ? 0 : load_pointer(table, slot);
    return loaded;
}

/* --- Walks --- */

/* True if a slot is of a key with this hash. */
static bool is_of_key(const struct kv_table_slot *slot,
                      struct kv_table_hash hash,
                      bool is_damage)
{
    return slot->tag == hash.tag &&
           slot->pointer >> CHECK_SHIFT == hash.check &&
           ((slot->pointer >> KIND_SHIFT & 3) == KV_TABLE_DAMAGE) == is_damage;
}

/* Walks over the slots [from, to). Returns where the walk has ended, or to. */
static inline uint64_t walk(const struct kv_table *table,
                            struct kv_table_hash hash,
                            bool is_damage,
                            uint64_t from,
                            uint64_t to,
                            struct kv_table_slot *found)
{
    for (uint64_t slot = from; slot < to; slot++) {
        found->tag = load_tag(table, slot);
        if (found->tag == hash.tag) {
            found->pointer = load_pointer(table, slot);
        }
        if (found->tag == 0 || is_of_key(found, hash, is_damage)) {
            return slot;
        }
    }
    found->tag = 0;
    return to;
}

struct kv_table_slot kv_table_get(const struct kv_table *table,
                                  struct kv_table_hash hash,
                                  bool is_damage)
{
    struct kv_table_slot found = {.tag = 0};
    uint64_t from =
        kv_table_home(hash.tag, table->bucket_count) * KV_TABLE_BUCKET_SLOTS;
    uint64_t to = kv_table_slot_count(table);
    if (walk(table, hash, is_damage, from, to, &found) == to) {
        (void)walk(table, hash, is_damage, 0, from, &found);
    }
    return found;
}

bool kv_table_find_on(const struct kv_table *table,
                      struct kv_table_hash hash,
                      bool is_damage,
                      struct kv_table_place *place,
                      struct kv_table_entry *entry_out)
{
    struct kv_table_slot found;
    uint64_t slot_count = kv_table_slot_count(table);
    if (place->slot >= slot_count) {
        return false; /* There was none. */
    }
    uint64_t slot =
        walk(table, hash, is_damage, place->slot, slot_count, &found);
    bool is_all = slot == slot_count;
    if (is_all) {
        slot = walk(table, hash, is_damage, 0, place->slot, &found);
        is_all = slot == place->slot;
    }
    place->slot = is_all ? KV_TABLE_NO_SLOT : slot;
    if (found.tag != 0) {
        *entry_out = kv_table_entry_of(found);
    }
    return found.tag != 0;
}

bool kv_table_find(const struct kv_table *table,
                   struct kv_table_hash hash,
                   bool is_damage,
                   struct kv_table_place *place_out,
                   struct kv_table_entry *entry_out)
{
    place_out->slot =
        kv_table_home(hash.tag, table->bucket_count) * KV_TABLE_BUCKET_SLOTS;
    return kv_table_find_on(table, hash, is_damage, place_out, entry_out);
}

void kv_table_put(struct kv_table *table,
                  struct kv_table_hash hash,
                  struct kv_table_place place,
                  bool is_new,
                  const struct kv_table_entry *entry)
{
    struct kv_table_slot slot = kv_table_slot_of(hash, entry);
    assert(place.slot < kv_table_slot_count(table));
    store_pointer(table, place.slot, slot.pointer);
    if (is_new) {
        kv_io_step("pointer");
        store_tag(table, place.slot, slot.tag);
    }
    kv_io_step("slot");
}

bool kv_table_insert(struct kv_table *table, struct kv_table_slot slot)
{
    uint64_t slot_count = kv_table_slot_count(table);
    uint64_t at =
        kv_table_home(slot.tag, table->bucket_count) * KV_TABLE_BUCKET_SLOTS;
    unsigned walked = 0;
    while (walked < KV_TABLE_WALK_MAX && load_tag(table, at) != 0) {
        at = at + 1 == slot_count ? 0 : at + 1;
        walked++;
    }
    if (walked == KV_TABLE_WALK_MAX) {
        return false;
    }
    store_pointer(table, at, slot.pointer);
    store_tag(table, at, slot.tag);
    return true;
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

uint64_t kv_table_mix(struct kv_table_slot slot, const uint64_t random[2])
{
    return mix_word((slot.tag ^ random[0]) +
                    mix_word(slot.pointer ^ random[1]));
}
