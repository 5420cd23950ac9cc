/* SPDX-License-Identifier: MIT */

/* The first page of a table: what it is, whose it is, and the totals.
 *
 * Invariants:
 * 1. What is not atomic is set before any other process can see the region, and
 *    fixed_hash says that it is whole.
 * 2. Totals are written to the copy that is not the newest, and chosen last. So
 *    a writer that dies midway leaves the old ones, and a reader that meets
 *    half of them notices by their hash.
 * 3. Totals are published after the slots that they count. So a process that
 *    finds slots past totals.applied knows that a writer died between the
 *    two. */

#include "index/header.h"

#include "os/bounds.h"
#include "os/system.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* "kvindex" and a number that changes with the layout. As one word it also
 * shows the byte order. */
#define MAGIC (UINT64_C(0x007865646e69766b) | UINT64_C(4) << 56)

/* The shortest line that names a key of one byte: {"Set":{"key":"k", */
#define KEYED_LINE_SIZE_MIN 16u

/* A table that is larger than at first has grown, when half of it or, if walks
 * had become too long, a part of that was full. */
#define FIRST_REGION_SIZE_MAX ((uint64_t)17 << 20)
#define LEAST_USED_SHARE 64u

/* How often a reader of totals tries again when they change under it. */
#define LOAD_TRIES 1000

static_assert(sizeof(struct kv_table_header) <= KV_TABLE_HEADER_SIZE,
              "header fits");
static_assert(SIZE_MAX >> KV_TABLE_LEVEL_MAX >
                  sizeof(uint64_t) * KV_TABLE_BUCKET_SLOTS,
              "the size of a region can be told");

/* Programs of 32 and of 64 bits share a table if they have the same byte order.
 * So its layout must not depend on how a compiler aligns words of 64 bits, nor
 * may such a word need a lock, which other processes would not see. */
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 &&
                  sizeof(_Atomic uint64_t) == sizeof(uint64_t),
              "words of 64 bits are atomic by themselves");
static_assert(offsetof(struct kv_table_header, state) == 88 &&
                  offsetof(struct kv_table_header, mount_ids) == 120 &&
                  offsetof(struct kv_table_header, totals) == 240 &&
                  sizeof(struct kv_table_header) == 560,
              "the header is laid out as docs/format.md has it");

uint64_t kv_table_slot_count(unsigned level)
{
    return (uint64_t)KV_TABLE_BUCKET_SLOTS << level;
}

size_t kv_table_region_size(unsigned level)
{
    assert(level <= KV_TABLE_LEVEL_MAX);
    return KV_TABLE_HEADER_SIZE +
           ((sizeof(uint64_t) * KV_TABLE_BUCKET_SLOTS) << level);
}

/* Describes the table in a region. What is copied here is never read from the
 * mapping again: a process that has the file open may write to it meanwhile. */
static struct kv_table table_in(void *region,
                                uint64_t seed,
                                uint32_t level,
                                uint32_t tag_level)
{
    return (struct kv_table){
        .header = region,
        .slots =
            (_Atomic uint64_t *)(void *)((char *)region + KV_TABLE_HEADER_SIZE),
        .seed = seed,
        .level = level,
        .tag_level = tag_level};
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
    struct kv_table table = table_in(region, seed, level, level);
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
    assert(size >= KV_TABLE_HEADER_SIZE);
    const volatile struct kv_table_header *words = region;
    *table_out = table_in(region, words->seed, words->level, words->tag_level);
    const struct kv_table *table = table_out;
    return table->header->magic == MAGIC &&
           table->header->fixed_hash == fixed_hash(table->header) &&
           table->level >= KV_TABLE_LEVEL_MIN &&
           table->level <= KV_TABLE_LEVEL_MAX &&
           table->tag_level >= KV_TABLE_LEVEL_MIN &&
           table->tag_level <= table->level &&
           table->level - table->tag_level <= KV_TABLE_SPREAD_MAX &&
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
           totals->slots_used <= kv_table_slot_count(table->level) &&
           totals->slots_used <= totals->applied / KEYED_LINE_SIZE_MIN;
}

bool kv_table_is_explained(const struct kv_table *table, uint64_t slots_used)
{
    return kv_table_region_size(table->level) <= FIRST_REGION_SIZE_MAX ||
           slots_used >= kv_table_slot_count(table->level) / LEAST_USED_SHARE;
}
