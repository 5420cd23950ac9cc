/* SPDX-License-Identifier: MIT */

/* Does index.c keep its header's word? */

#include "bounds.h"
#include "index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUCKET_SLOTS UINT64_C(8)
#define REACH UINT64_C(16)
#define LEVEL KV_INDEX_LEVEL_MIN

/* A region as exact as it is promised to be. */
static struct kv_index make_index(unsigned level)
{
    void *region = malloc(kv_index_region_size(level));
    assert_non_null(region);
    return kv_index_format(region, level, 42);
}

static void free_index(struct kv_index *index)
{
    free(index->header);
}

/* Takes the empty slot at the end of a hash's walk. */
static bool put_new(struct kv_index *index, uint64_t hash, uint64_t offset)
{
    struct kv_index_probe probe = kv_index_probe_start(index, hash);
    struct kv_index_entry entry;
    while (kv_index_probe_next(index, &probe, &entry)) {
    }
    if (probe.has_place) {
        struct kv_log_pointer pointer = {.offset = offset, .length = 50};
        kv_index_put(index, &probe, pointer, false);
    }
    return probe.has_place;
}

/* How many candidates does a hash have, and is an offset among them? */
static unsigned count_candidates(const struct kv_index *index,
                                 uint64_t hash,
                                 uint64_t offset,
                                 bool *is_among_out)
{
    struct kv_index_probe probe = kv_index_probe_start(index, hash);
    struct kv_index_entry entry;
    unsigned count = 0;
    *is_among_out = false;
    while (kv_index_probe_next(index, &probe, &entry)) {
        count++;
        *is_among_out |= entry.offset == offset;
    }
    return count;
}

static void assert_leads_to(const struct kv_index *index,
                            uint64_t hash,
                            uint64_t offset)
{
    bool is_among = false;
    (void)count_candidates(index, hash, offset, &is_among);
    assert_true(is_among);
}

/* The same hashes in each run (splitmix64). */
static uint64_t hash_of(uint64_t number)
{
    uint64_t mixed = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static void new_index_is_empty(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    uint64_t slot = 0;
    struct kv_index_entry entry;

    assert_false(kv_index_next_entry(&index, &slot, &entry));
    assert_false(kv_index_is_full(&index));
    assert_int_equal(index.header->slots_used, 0);
    assert_int_equal(index.header->counts.damaged_offset, UINT64_MAX);
    assert_int_equal(index.header->seed, 42);
    free_index(&index);
}

static void absent_hash_ends_on_an_empty_slot(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    struct kv_index_probe probe = kv_index_probe_start(&index, hash_of(1));
    struct kv_index_entry entry;

    assert_false(kv_index_probe_next(&index, &probe, &entry));

    assert_true(probe.has_place);
    free_index(&index);
}

static void put_slot_is_found(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    assert_true(put_new(&index, hash_of(1), 0));
    assert_true(put_new(&index, hash_of(2), KV_OFFSET_MAX));

    assert_leads_to(&index, hash_of(1), 0);
    assert_leads_to(&index, hash_of(2), KV_OFFSET_MAX);
    assert_int_equal(index.header->slots_used, 2);
    free_index(&index);
}

static void second_put_moves_the_slot_on(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    assert_true(put_new(&index, hash_of(1), 100));
    struct kv_index_probe probe = kv_index_probe_start(&index, hash_of(1));
    struct kv_index_entry entry;
    assert_true(kv_index_probe_next(&index, &probe, &entry));

    struct kv_log_pointer newer = {.offset = 200, .length = 10};
    kv_index_put(&index, &probe, newer, false);

    bool is_among = false;
    assert_int_equal(count_candidates(&index, hash_of(1), 200, &is_among), 1);
    assert_true(is_among);
    assert_int_equal(index.header->slots_used, 1);
    free_index(&index);
}

static void flag_is_kept_and_counted(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    struct kv_index_probe probe = kv_index_probe_start(&index, hash_of(1));
    struct kv_index_entry entry;
    assert_false(kv_index_probe_next(&index, &probe, &entry));
    struct kv_log_pointer pointer = {.offset = 7, .length = 10};

    kv_index_put(&index, &probe, pointer, true);

    probe = kv_index_probe_start(&index, hash_of(1));
    assert_true(kv_index_probe_next(&index, &probe, &entry));
    assert_true(entry.is_flagged);
    assert_int_equal(entry.offset, 7);
    assert_int_equal(index.header->slots_flagged, 1);
    assert_int_equal(index.header->slots_used, 1);
    free_index(&index);
}

static void about_size_bounds_the_length_closely(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    for (uint64_t length = 1; length < (UINT64_C(1) << 31);
         length += 1 + length / 7) {
        struct kv_index_probe probe = kv_index_probe_start(&index, 5);
        struct kv_index_entry entry;
        (void)kv_index_probe_next(&index, &probe, &entry);
        struct kv_log_pointer pointer = {.offset = 0, .length = length};
        kv_index_put(&index, &probe, pointer, false);

        probe = kv_index_probe_start(&index, 5);
        assert_true(kv_index_probe_next(&index, &probe, &entry));

        assert_true(entry.about_size >= length ||
                    entry.about_size == KV_LINE_SIZE_MAX);
        assert_true(length <= 32 || entry.about_size <= 2 * length);
    }
    free_index(&index);
}

static void equal_hashes_are_all_candidates(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(put_new(&index, hash_of(1), i * 100));
    }

    bool is_among = false;
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(
            count_candidates(&index, hash_of(1), i * 100, &is_among), 20);
        assert_true(is_among);
    }
    free_index(&index);
}

/* Hashes with one home fill the buckets that a walk may reach, and no more. */
static void walk_ends_at_its_reach(void **state)
{
    (void)state;
    uint64_t buckets = UINT64_C(1) << LEVEL;
    for (uint64_t home = 0; home < buckets; home += 21) {
        struct kv_index index = make_index(LEVEL);
        for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
            assert_true(put_new(&index, home + i * buckets, i));
        }

        assert_false(put_new(&index, home + 1000 * buckets, 1000));

        for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
            assert_leads_to(&index, home + i * buckets, i);
        }
        assert_int_equal(index.header->slots_used, REACH * BUCKET_SLOTS);
        free_index(&index);
    }
}

static void walk_wraps_around_at_the_end(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    uint64_t last = (UINT64_C(1) << LEVEL) - 1;
    for (uint64_t i = 0; i < 3 * BUCKET_SLOTS; i++) {
        assert_true(put_new(&index, last, i));
    }

    assert_leads_to(&index, last, 3 * BUCKET_SLOTS - 1);
    struct kv_index_entry entry;
    uint64_t slot = 0;
    assert_true(kv_index_next_entry(&index, &slot, &entry));
    assert_int_equal(slot, 0);
    free_index(&index);
}

static void full_index_says_so_before_it_is(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    uint64_t count = 0;
    while (!kv_index_is_full(&index)) {
        assert_true(put_new(&index, hash_of(count), count));
        count++;
    }

    uint64_t slots = BUCKET_SLOTS << LEVEL;
    assert_true(count > slots * 3 / 4 && count < slots);
    free_index(&index);
}

static void level_holds_the_keys_it_is_for(void **state)
{
    (void)state;
    static const uint64_t counts[] = {
        0, 1, 831, 832, 833, 1663, 1664, 1665, 10000, 1000000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        unsigned level = kv_index_level_for(counts[i]);
        uint64_t slots = BUCKET_SLOTS << level;

        assert_true(level >= KV_INDEX_LEVEL_MIN);
        assert_true(counts[i] < slots / 16 * 13);
        assert_true(level == KV_INDEX_LEVEL_MIN ||
                    counts[i] >= slots / 32 * 13);
    }
    assert_int_equal(kv_index_level_for(UINT64_MAX), KV_INDEX_LEVEL_MAX);
}

/* The slots move by what they hold of the hash, as often as that is enough. */
static void spread_slots_are_found_at_each_level(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    uint64_t count = 0;
    while (!kv_index_is_full(&index)) {
        assert_true(put_new(&index, hash_of(count), count));
        count++;
    }
    unsigned level = LEVEL;
    while (kv_index_can_spread(&index)) {
        level++;
        struct kv_index larger = make_index(level);

        assert_true(kv_index_spread(&index, &larger));

        assert_int_equal(larger.header->level, level);
        assert_int_equal(larger.header->slots_used, count);
        assert_int_equal(larger.header->seed, 42);
        for (uint64_t i = 0; i < count; i++) {
            assert_leads_to(&larger, hash_of(i), i);
        }
        free_index(&index);
        index = larger;
    }
    assert_true(level >= LEVEL + 2 && level < LEVEL + 14);
    free_index(&index);
}

/* Slots far from their homes, and around the end of the table. */
static void spread_keeps_crowded_slots(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    uint64_t last = (UINT64_C(1) << LEVEL) - 1;
    for (uint64_t i = 0; i < 12 * BUCKET_SLOTS; i++) {
        assert_true(put_new(&index, last - i % 3 + (i << LEVEL), i));
    }
    struct kv_index larger = make_index(LEVEL + 1);

    assert_true(kv_index_spread(&index, &larger));

    for (uint64_t i = 0; i < 12 * BUCKET_SLOTS; i++) {
        assert_leads_to(&larger, last - i % 3 + (i << LEVEL), i);
    }
    free_index(&index);
    free_index(&larger);
}

static void spread_without_a_place_says_so(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    struct kv_index larger = make_index(LEVEL + 1);
    /* One home at both levels, and more slots than a walk can reach: first
     * some at the neighbouring homes, so that the walk down there is full. */
    for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
        assert_true(put_new(&index, 3 + (i << (LEVEL + 9)), i));
    }
    assert_true(kv_index_spread(&index, &larger));
    assert_int_equal(larger.header->slots_used, REACH * BUCKET_SLOTS);

    struct kv_index crowded = make_index(LEVEL + 1);
    for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
        assert_true(put_new(&crowded, 3 + (i << (LEVEL + 9)), i));
    }
    assert_false(kv_index_spread(&index, &crowded));
    free_index(&index);
    free_index(&larger);
    free_index(&crowded);
}

static void walk_over_all_meets_each_slot_once(void **state)
{
    (void)state;
    struct kv_index index = make_index(LEVEL);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 300; i++) {
        assert_true(put_new(&index, hash_of(i), i));
        sum += i;
    }

    uint64_t count = 0;
    struct kv_index_entry entry;
    for (uint64_t slot = 0; kv_index_next_entry(&index, &slot, &entry);
         slot++) {
        count++;
        sum -= entry.offset;
    }

    assert_int_equal(count, 300);
    assert_int_equal(sum, 0);
    free_index(&index);
}

static void hash_depends_on_key_and_seed(void **state)
{
    (void)state;
    struct kv_index one = make_index(LEVEL);
    struct kv_index other = make_index(LEVEL);
    other.header->seed = 43;

    assert_true(kv_index_hash(&one, "a", 1) == kv_index_hash(&one, "a", 1));
    assert_true(kv_index_hash(&one, "a", 1) != kv_index_hash(&one, "b", 1));
    assert_true(kv_index_hash(&one, "a", 1) != kv_index_hash(&one, "a", 2));
    assert_true(kv_index_hash(&one, "a", 1) != kv_index_hash(&other, "a", 1));
    free_index(&one);
    free_index(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_index_is_empty),
        cmocka_unit_test(absent_hash_ends_on_an_empty_slot),
        cmocka_unit_test(put_slot_is_found),
        cmocka_unit_test(second_put_moves_the_slot_on),
        cmocka_unit_test(flag_is_kept_and_counted),
        cmocka_unit_test(about_size_bounds_the_length_closely),
        cmocka_unit_test(equal_hashes_are_all_candidates),
        cmocka_unit_test(walk_ends_at_its_reach),
        cmocka_unit_test(walk_wraps_around_at_the_end),
        cmocka_unit_test(full_index_says_so_before_it_is),
        cmocka_unit_test(level_holds_the_keys_it_is_for),
        cmocka_unit_test(spread_slots_are_found_at_each_level),
        cmocka_unit_test(spread_keeps_crowded_slots),
        cmocka_unit_test(spread_without_a_place_says_so),
        cmocka_unit_test(walk_over_all_meets_each_slot_once),
        cmocka_unit_test(hash_depends_on_key_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
