/* SPDX-License-Identifier: MIT */

/* The first page of a table: what it is, whose it is, and the totals.
 *
 * Invariants:
 * 1. What is not atomic is set before any other process can see the region, and
 *    fixed_hash says that it is whole.
 * 2. There is one copy of the totals. Whoever publishes stores, each word after
 *    the ones before: PUBLISHING; end; the slots, in log order; the totals;
 *    applied; AT_REST, or APPENDING if the log goes on. So a reader that loads
 *    the same applied before the totals as end after them has totals of one
 *    moment; and one that gets the lock knows by the word whether to believe
 *    them, to fold what follows them, or to build the table anew. */

#include "index/header.h"

#include "os/bounds.h"
#include "os/system.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* "kvindex" and a number that changes with the layout. As one word it also
 * shows the byte order. */
#define MAGIC (UINT64_C(0x007865646e69766b) | UINT64_C(5) << 56)

/* The shortest line that names a key of one byte: {"Set":{"key":"k", */
#define KEYED_LINE_SIZE_MIN 16u

/* A table that is larger than at first has grown, when three quarters of it
 * were in use; or was made for the keys that a log seemed to have. */
#define FIRST_REGION_SIZE_MAX ((uint64_t)17 << 20)
#define LEAST_USED_SHARE 64u

/* How long a reader of totals tries again when they change under it. */
#define LOAD_NS INT64_C(1000000)
#define LOADS_BEFORE_CLOCK 64u
#define LOADS_MAX 1000000u

static_assert(sizeof(struct kv_table_header) <= KV_TABLE_HEADER_SIZE,
              "header fits");
/* Programs of 32 and of 64 bits share a table if they have the same byte order.
 * So its layout must not depend on how a compiler aligns words of 64 bits, nor
 * may such a word need a lock, which other processes would not see. */
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 &&
                  sizeof(_Atomic uint64_t) == sizeof(uint64_t),
              "words of 64 bits are atomic by themselves");
static_assert(offsetof(struct kv_table_header, state) == 256 &&
                  offsetof(struct kv_table_header, boot_ids) == 296 &&
                  offsetof(struct kv_table_header, succession) == 400 &&
                  offsetof(struct kv_table_header, writing) == 448 &&
                  offsetof(struct kv_table_header, holder_pid) == 624 &&
                  sizeof(struct kv_table_header) == 656,
              "the header is laid out as docs/format.md has it");

size_t kv_table_region_size(uint64_t bucket_count)
{
    assert(bucket_count <= KV_TABLE_BUCKETS_MAX);
    return KV_TABLE_HEADER_SIZE + (size_t)bucket_count * KV_TABLE_BUCKET_SIZE;
}

/* Describes the table in a region. What is copied here is never read from the
 * mapping again: a process that has the file open may write to it meanwhile. */
static void describe(struct kv_table *table,
                     void *region,
                     uint64_t bucket_count)
{
    table->header = region;
    table->words =
        (_Atomic uint64_t *)(void *)((char *)region + KV_TABLE_HEADER_SIZE);
    table->bucket_count = bucket_count;
}

struct kv_table kv_table_format(void *region,
                                uint64_t bucket_count,
                                const struct kv_table_secret *secret)
{
    assert(bucket_count >= KV_TABLE_BUCKETS_MIN &&
           bucket_count <= KV_TABLE_BUCKETS_MAX);
    struct kv_table_header *header = region;
    header->magic = MAGIC;
    header->region_size = kv_table_region_size(bucket_count);
    header->bucket_count = bucket_count;
    header->secret = *secret;
    atomic_store(&header->state, KV_TABLE_SWITCHING);
    atomic_store(&header->writing, KV_TABLE_APPENDING);
    struct kv_table table = {.secret = *secret};
    describe(&table, region, bucket_count);
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
    struct kv_table_header fixed;
    memcpy(&fixed, region, offsetof(struct kv_table_header, state));
    describe(table_out, region, fixed.bucket_count);
    table_out->secret = fixed.secret;
    return fixed.magic == MAGIC && fixed.fixed_hash == fixed_hash(&fixed) &&
           fixed.bucket_count >= KV_TABLE_BUCKETS_MIN &&
           fixed.bucket_count <= KV_TABLE_BUCKETS_MAX &&
           fixed.region_size == size &&
           size == kv_table_region_size(fixed.bucket_count);
}

static void copy_word(const _Atomic uint64_t *from, _Atomic uint64_t *to)
{
    atomic_store(to, atomic_load(from));
}

void kv_table_inherit(const struct kv_table *from, struct kv_table *to)
{
    const struct kv_table_header *old = from->header;
    struct kv_table_header *header = to->header;
    copy_word(&old->has_damage, &header->has_damage);
    copy_word(&old->slow_until, &header->slow_until);
    copy_word(&old->failed_at, &header->failed_at);
    copy_word(&old->kept, &header->kept);
    for (size_t i = 0; i < KV_TABLE_SUCCESSION_WORDS; i++) {
        copy_word(&old->succession[i], &header->succession[i]);
    }
    copy_word(&old->writing, &header->writing);
    copy_word(&old->end, &header->end);
}

void kv_table_succeed(struct kv_table *table,
                      const struct kv_table_totals *totals,
                      uint64_t old_inode,
                      const struct kv_table_totals *old_totals)
{
    const struct kv_log_pointer *last = &totals->last;
    if (totals->follows != 0 ||
        last->offset + last->length != totals->applied) {
        return;
    }
    struct kv_table_succession succession = {.log_inode = old_inode,
                                             .log_end = old_totals->applied,
                                             .log_sum = old_totals->last_sum,
                                             .begin = totals->applied,
                                             .last_length = last->length,
                                             .last_sum = totals->last_sum};
    uint64_t words[KV_TABLE_SUCCESSION_WORDS];
    memcpy(words, &succession, sizeof words);
    for (size_t i = 0; i < KV_TABLE_SUCCESSION_WORDS; i++) {
        atomic_store(&table->header->succession[i], words[i]);
    }
}

struct kv_table_succession kv_table_succession(const struct kv_table *table)
{
    uint64_t words[KV_TABLE_SUCCESSION_WORDS];
    for (size_t i = 0; i < KV_TABLE_SUCCESSION_WORDS; i++) {
        words[i] = atomic_load(&table->header->succession[i]);
    }
    struct kv_table_succession succession;
    /* cppcheck-suppress uninitvar; the loop has filled all words */
    memcpy(&succession, words, sizeof succession);
    return succession;
}

void kv_table_set_writing(const struct kv_table *table,
                          enum kv_table_writing writing)
{
    atomic_store_explicit(
        &table->header->writing, (uint64_t)writing, memory_order_release);
    kv_io_step("writing");
}

enum kv_table_writing kv_table_writing(const struct kv_table *table)
{
    uint64_t writing =
        atomic_load_explicit(&table->header->writing, memory_order_acquire);
    return writing == KV_TABLE_AT_REST || writing == KV_TABLE_APPENDING
               ? (enum kv_table_writing)writing
               : KV_TABLE_PUBLISHING;
}

/* --- Totals --- */

struct kv_table_totals kv_table_no_totals(void)
{
    return (struct kv_table_totals){.counts.damaged_offset = UINT64_MAX,
                                    .counts.unknown_offset = UINT64_MAX};
}

#define HALF_WORDS (KV_TABLE_TOTALS_WORDS / 2)

static inline void store_words(struct kv_table_header *header,
                               const uint64_t *words,
                               size_t from,
                               size_t to)
{
    KV_UNROLLED
    for (size_t i = from; i < to; i++) {
        atomic_store_explicit(
            &header->totals[i], words[i], memory_order_release);
    }
}

void kv_table_store_totals(struct kv_table *table,
                           const struct kv_table_totals *totals)
{
    uint64_t words[KV_TABLE_TOTALS_WORDS];
    memcpy(words, totals, sizeof *totals);
    store_words(table->header, words, HALF_WORDS, KV_TABLE_TOTALS_WORDS);
    kv_io_step("half totals");
    store_words(table->header, words, 1, HALF_WORDS);
    atomic_store_explicit(
        &table->header->totals[0], words[0], memory_order_release);
}

struct kv_table_totals kv_table_peek_totals(const struct kv_table *table)
{
    uint64_t words[KV_TABLE_TOTALS_WORDS];
    for (size_t i = 0; i < KV_TABLE_TOTALS_WORDS; i++) {
        words[i] = atomic_load_explicit(&table->header->totals[i],
                                        memory_order_acquire);
    }
    struct kv_table_totals totals;
    /* cppcheck-suppress uninitvar; the loop has filled all words */
    memcpy(&totals, words, sizeof totals);
    return totals;
}

/* True if the totals were those of one moment. */
static bool peek_whole(const struct kv_table *table,
                       struct kv_table_totals *totals_out)
{
    *totals_out = kv_table_peek_totals(table);
    return totals_out->applied ==
           atomic_load_explicit(&table->header->end, memory_order_acquire);
}

bool kv_table_load_totals(const struct kv_table *table,
                          struct kv_table_totals *totals_out)
{
    bool is_whole = peek_whole(table, totals_out);
    int64_t until_ns = is_whole ? 0 : kv_io_clock_ns() + LOAD_NS;
    for (unsigned i = 1; !is_whole && i < LOADS_MAX; i++) {
        if (i % LOADS_BEFORE_CLOCK == 0 && kv_io_clock_ns() >= until_ns) {
            break;
        }
        is_whole = peek_whole(table, totals_out);
    }
    return is_whole;
}

/* True if the first of so many lines can be there. */
static bool is_first_known(uint64_t count, uint64_t offset, uint64_t applied)
{
    return count == 0 ? offset == UINT64_MAX : offset < applied;
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
           is_first_known(counts->damaged_records,
                          counts->damaged_offset,
                          totals->applied) &&
           is_first_known(counts->unknown_records,
                          counts->unknown_offset,
                          totals->applied) &&
           totals->last.offset <= totals->applied &&
           totals->last.length <= totals->applied - totals->last.offset &&
           counts->expiring_bytes <= counts->live_bytes &&
           counts->expiring_keys <= counts->keys &&
           counts->keys <= totals->slots_used &&
           totals->damage_slots <= totals->slots_used &&
           totals->slots_used <= table->bucket_count * KV_TABLE_BUCKET_SLOTS &&
           totals->slots_used <= totals->applied / KEYED_LINE_SIZE_MIN;
}

bool kv_table_is_explained(const struct kv_table *table, uint64_t slots_used)
{
    return kv_table_region_size(table->bucket_count) <= FIRST_REGION_SIZE_MAX ||
           slots_used >=
               table->bucket_count * KV_TABLE_BUCKET_SLOTS / LEAST_USED_SHARE;
}
