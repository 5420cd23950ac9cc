/* SPDX-License-Identifier: MIT */

/* Does index/table.c do what its header promises? */

#include "index/table.h"
#include "os/bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUCKET_SLOTS UINT64_C(8)
#define REACH UINT64_C(32)
#define LEVEL KV_TABLE_LEVEL_MIN

/* A table and its totals. */
struct fixture {
    struct kv_table table;
    struct kv_table_totals totals;
};

/* Makes a table in a region of exactly the size that is promised. */
static struct fixture make_table(unsigned level)
{
    void *region = calloc(1, kv_table_region_size(level));
    assert_non_null(region);
    return (struct fixture){.table = kv_table_format(region, level, 42),
                            .totals = kv_table_no_totals()};
}

static void free_table(struct fixture *fixture)
{
    free(fixture->table.header);
}

/* Takes the empty slot at the end of a hash's walk. */
static bool put_new(struct fixture *fixture, uint64_t hash, uint64_t offset)
{
    struct kv_table *table = &fixture->table;
    struct kv_table_probe probe = kv_table_probe_start(table, hash);
    struct kv_table_entry entry;
    while (kv_table_probe_next(table, &probe, &entry)) {
    }
    if (probe.has_place) {
        kv_table_put(table, &fixture->totals, &probe, offset, false);
    }
    return probe.has_place;
}

/* Returns how many candidates a hash has, and whether an offset is among
 * them. */
static unsigned count_candidates(const struct kv_table *table,
                                 uint64_t hash,
                                 uint64_t offset,
                                 bool *is_among_out)
{
    struct kv_table_probe probe = kv_table_probe_start(table, hash);
    struct kv_table_entry entry;
    unsigned count = 0;
    *is_among_out = false;
    while (kv_table_probe_next(table, &probe, &entry)) {
        count++;
        *is_among_out |= entry.offset == offset;
    }
    return count;
}

static void assert_leads_to(const struct kv_table *table,
                            uint64_t hash,
                            uint64_t offset)
{
    bool is_among = false;
    (void)count_candidates(table, hash, offset, &is_among);
    assert_true(is_among);
}

/* Returns the same hashes in each run (splitmix64). */
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
    struct fixture fixture = make_table(LEVEL);
    uint64_t slot = 0;
    struct kv_table_entry entry;

    assert_false(kv_table_next_entry(&fixture.table, &slot, &entry));
    assert_false(kv_table_is_full(&fixture.table, &fixture.totals));
    assert_int_equal(fixture.totals.slots_used, 0);
    struct kv_table_totals totals;
    assert_true(kv_table_load_totals(&fixture.table, &totals));
    assert_memory_equal(&totals, &fixture.totals, sizeof totals);
    assert_int_equal(totals.counts.damaged_offset, UINT64_MAX);
    assert_int_equal(fixture.table.header->seed, 42);
    assert_int_equal(fixture.table.header->state, KV_TABLE_SWITCHING);
    free_table(&fixture);
}

static void absent_hash_ends_on_an_empty_slot(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    struct kv_table_probe probe =
        kv_table_probe_start(&fixture.table, hash_of(1));
    struct kv_table_entry entry;

    assert_false(kv_table_probe_next(&fixture.table, &probe, &entry));

    assert_true(probe.has_place);
    free_table(&fixture);
}

static void put_slot_is_found(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    assert_true(put_new(&fixture, hash_of(1), 0));
    assert_true(put_new(&fixture, hash_of(2), KV_OFFSET_MAX - 1));

    assert_leads_to(&fixture.table, hash_of(1), 0);
    assert_leads_to(&fixture.table, hash_of(2), KV_OFFSET_MAX - 1);
    assert_int_equal(fixture.totals.slots_used, 2);
    free_table(&fixture);
}

static void second_put_moves_the_slot_on(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    assert_true(put_new(&fixture, hash_of(1), 100));
    struct kv_table_probe probe =
        kv_table_probe_start(&fixture.table, hash_of(1));
    struct kv_table_entry entry;
    assert_true(kv_table_probe_next(&fixture.table, &probe, &entry));

    kv_table_put(&fixture.table, &fixture.totals, &probe, 200, false);

    bool is_among = false;
    assert_int_equal(
        count_candidates(&fixture.table, hash_of(1), 200, &is_among), 1);
    assert_true(is_among);
    assert_int_equal(fixture.totals.slots_used, 1);
    free_table(&fixture);
}

static void flag_is_kept_and_counted(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    struct kv_table_probe probe =
        kv_table_probe_start(&fixture.table, hash_of(1));
    struct kv_table_entry entry;
    assert_false(kv_table_probe_next(&fixture.table, &probe, &entry));

    kv_table_put(&fixture.table, &fixture.totals, &probe, 7, true);

    probe = kv_table_probe_start(&fixture.table, hash_of(1));
    assert_true(kv_table_probe_next(&fixture.table, &probe, &entry));
    assert_true(entry.is_flagged);
    assert_int_equal(entry.offset, 7);
    assert_int_equal(fixture.totals.slots_flagged, 1);
    assert_int_equal(fixture.totals.slots_used, 1);
    free_table(&fixture);
}

/* All bits of offset, flag and hash may be 0. */
static void slot_of_nothing_but_zeros_is_taken(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);

    assert_true(put_new(&fixture, 0, 0));

    assert_leads_to(&fixture.table, 0, 0);
    assert_true(put_new(&fixture, 0, 1));
    assert_leads_to(&fixture.table, 0, 0);
    free_table(&fixture);
}

static void equal_hashes_are_all_candidates(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(put_new(&fixture, hash_of(1), i * 100));
    }

    bool is_among = false;
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(
            count_candidates(&fixture.table, hash_of(1), i * 100, &is_among),
            20);
        assert_true(is_among);
    }
    free_table(&fixture);
}

static bool has_place(const struct kv_table *table, uint64_t hash)
{
    struct kv_table_probe probe = kv_table_probe_start(table, hash);
    struct kv_table_entry entry;
    while (kv_table_probe_next(table, &probe, &entry)) {
    }
    return probe.has_place;
}

/* Equal hashes fill the buckets that their walk may reach, and no more; the
 * places of other walks are left free. */
static void walk_ends_at_its_reach(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 50; number++) {
        struct fixture fixture = make_table(LEVEL);
        uint64_t hash = hash_of(number);
        for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
            assert_true(has_place(&fixture.table, hash));
            assert_true(put_new(&fixture, hash, i));
        }

        assert_false(has_place(&fixture.table, hash));
        assert_false(put_new(&fixture, hash, 1000));

        for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
            assert_leads_to(&fixture.table, hash, i);
        }
        assert_int_equal(fixture.totals.slots_used, REACH * BUCKET_SLOTS);
        free_table(&fixture);
    }
}

/* Keys of one home bucket go separate ways from there. */
static void walks_of_one_home_part(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    uint64_t buckets = UINT64_C(1) << LEVEL;
    for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
        assert_true(put_new(&fixture, 3, i));
    }
    uint64_t places = 0;
    for (uint64_t tag = 1; tag < 512; tag++) {
        places += has_place(&fixture.table, 3 + tag * buckets) ? 1 : 0;
    }

    assert_true(places > 500);
    free_table(&fixture);
}

static void walk_wraps_around_at_the_end(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    uint64_t last = (UINT64_C(1) << LEVEL) - 1;
    for (uint64_t i = 0; i < 3 * BUCKET_SLOTS; i++) {
        assert_true(put_new(&fixture, last, i));
    }

    assert_leads_to(&fixture.table, last, 3 * BUCKET_SLOTS - 1);
    struct kv_table_entry entry;
    uint64_t slot = 0;
    assert_true(kv_table_next_entry(&fixture.table, &slot, &entry));
    assert_int_equal(slot, 0);
    free_table(&fixture);
}

static void fill(struct fixture *fixture)
{
    uint64_t count = 0;
    while (!kv_table_is_full(&fixture->table, &fixture->totals)) {
        assert_true(put_new(fixture, hash_of(count), count));
        count++;
    }
}

static void full_index_says_so_before_it_is(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);

    fill(&fixture);

    uint64_t slots = BUCKET_SLOTS << LEVEL;
    assert_int_equal(fixture.totals.slots_used, slots / 16 * 13);
    free_table(&fixture);
}

/* No walk ends without a place before the table calls itself full. */
static void million_slots_take_as_many_keys_as_are_promised(void **state)
{
    (void)state;
    struct fixture fixture = make_table(17);

    fill(&fixture);

    assert_int_equal(fixture.totals.slots_used, (UINT64_C(1) << 20) / 16 * 13);
    for (uint64_t i = 0; i < fixture.totals.slots_used; i += 7) {
        assert_leads_to(&fixture.table, hash_of(i), i);
    }
    free_table(&fixture);
}

static void level_holds_the_keys_it_is_for(void **state)
{
    (void)state;
    static const uint64_t counts[] = {
        0, 1, 831, 832, 833, 1663, 1664, 1665, 10000, 1000000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        unsigned level = kv_table_level_for(counts[i]);
        uint64_t slots = BUCKET_SLOTS << level;

        assert_true(level >= KV_TABLE_LEVEL_MIN);
        assert_true(counts[i] < slots / 16 * 13);
        assert_true(level == KV_TABLE_LEVEL_MIN ||
                    counts[i] >= slots / 32 * 13);
    }
    assert_int_equal(kv_table_level_for(UINT64_MAX), KV_TABLE_LEVEL_MAX);
}

static uint64_t count_entries(const struct kv_table *table)
{
    uint64_t count = 0;
    struct kv_table_entry entry;
    for (uint64_t slot = 0; kv_table_next_entry(table, &slot, &entry); slot++) {
        count++;
    }
    return count;
}

/* Slots move by the bits of the hash that they hold, as long as those
 * suffice. */
static void spread_slots_are_found_at_each_level(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    fill(&fixture);
    uint64_t count = fixture.totals.slots_used;
    unsigned level = LEVEL;
    while (kv_table_can_spread(&fixture.table, level + 1)) {
        level++;
        struct fixture larger = make_table(level);
        larger.totals = fixture.totals;

        assert_true(kv_table_spread(&fixture.table, &larger.table));

        assert_int_equal(larger.table.header->level, level);
        assert_int_equal(larger.table.header->tag_level, LEVEL);
        assert_int_equal(larger.table.header->seed, 42);
        assert_int_equal(count_entries(&larger.table), count);
        for (uint64_t i = 0; i < count; i++) {
            assert_leads_to(&larger.table, hash_of(i), i);
        }
        for (; !kv_table_is_full(&larger.table, &larger.totals); count++) {
            assert_true(put_new(&larger, hash_of(count), count));
        }
        free_table(&fixture);
        fixture = larger;
    }
    assert_int_equal(level, LEVEL + 9);
    free_table(&fixture);
}

/* To a lower level, whichever bits are used up, and from there on as from any
 * other. */
static void spread_to_a_lower_level_keeps_all(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL + 5);
    uint64_t count = 0;
    for (; !kv_table_is_full(&fixture.table, &fixture.totals) && count < 800;
         count++) {
        assert_true(put_new(&fixture, hash_of(count), count));
    }
    struct fixture smaller = make_table(LEVEL);
    smaller.totals = fixture.totals;
    assert_true(kv_table_can_spread(&fixture.table, LEVEL));

    assert_true(kv_table_spread(&fixture.table, &smaller.table));

    assert_int_equal(smaller.table.header->tag_level, LEVEL);
    for (uint64_t i = 0; i < count; i++) {
        assert_leads_to(&smaller.table, hash_of(i), i);
    }
    struct fixture again = make_table(LEVEL + 1);
    assert_true(kv_table_spread(&smaller.table, &again.table));
    for (uint64_t i = 0; i < count; i++) {
        assert_leads_to(&again.table, hash_of(i), i);
    }
    free_table(&fixture);
    free_table(&smaller);
    free_table(&again);
}

/* Slots far from their homes, and around the end of the table. */
static void spread_keeps_crowded_slots(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    uint64_t last = (UINT64_C(1) << LEVEL) - 1;
    for (uint64_t i = 0; i < 12 * BUCKET_SLOTS; i++) {
        assert_true(put_new(&fixture, last - i % 3 + (i << LEVEL), i));
    }
    struct fixture larger = make_table(LEVEL + 1);

    assert_true(kv_table_spread(&fixture.table, &larger.table));

    for (uint64_t i = 0; i < 12 * BUCKET_SLOTS; i++) {
        assert_leads_to(&larger.table, last - i % 3 + (i << LEVEL), i);
    }
    free_table(&fixture);
    free_table(&larger);
}

/* Equal hashes take each place of their walk. Each of these gives the home, at
 * every level, whatever the step. */
static void slots_tell_their_home_from_each_place(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 100; number++) {
        struct fixture fixture = make_table(LEVEL);
        uint64_t hash = hash_of(number);
        for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
            assert_true(put_new(&fixture, hash, i));
        }
        while (kv_table_can_spread(&fixture.table, fixture.table.level + 1)) {
            struct fixture larger = make_table(fixture.table.level + 1);

            assert_true(kv_table_spread(&fixture.table, &larger.table));

            bool is_among = false;
            assert_int_equal(
                count_candidates(&larger.table, hash, 0, &is_among),
                REACH * BUCKET_SLOTS);
            assert_true(is_among);
            free_table(&fixture);
            fixture = larger;
        }
        free_table(&fixture);
    }
}

static void spread_without_a_place_says_so(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    struct fixture larger = make_table(LEVEL + 1);
    /* One walk at both levels, with all of its places taken. */
    for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
        assert_true(put_new(&fixture, 3 + (i << (LEVEL + 10)), i));
    }
    assert_true(kv_table_spread(&fixture.table, &larger.table));
    assert_int_equal(count_entries(&larger.table), REACH * BUCKET_SLOTS);

    struct fixture crowded = make_table(LEVEL + 1);
    for (uint64_t i = 0; i < REACH * BUCKET_SLOTS; i++) {
        assert_true(put_new(&crowded, 3 + (i << (LEVEL + 10)), i));
    }
    assert_false(kv_table_spread(&fixture.table, &crowded.table));
    free_table(&fixture);
    free_table(&larger);
    free_table(&crowded);
}

static void walk_over_all_meets_each_slot_once(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 300; i++) {
        assert_true(put_new(&fixture, hash_of(i), i));
        sum += i;
    }

    uint64_t count = 0;
    struct kv_table_entry entry;
    for (uint64_t slot = 0; kv_table_next_entry(&fixture.table, &slot, &entry);
         slot++) {
        count++;
        sum -= entry.offset;
    }

    assert_int_equal(count, 300);
    assert_int_equal(sum, 0);
    free_table(&fixture);
}

static void hash_depends_on_key_and_seed(void **state)
{
    (void)state;
    struct fixture one = make_table(LEVEL);
    struct fixture other = make_table(LEVEL);
    other.table.seed = 43;

    assert_true(kv_table_hash(&one.table, "a", 1) ==
                kv_table_hash(&one.table, "a", 1));
    assert_true(kv_table_hash(&one.table, "a", 1) !=
                kv_table_hash(&one.table, "b", 1));
    assert_true(kv_table_hash(&one.table, "a", 1) !=
                kv_table_hash(&one.table, "a", 2));
    assert_true(kv_table_hash(&one.table, "a", 1) !=
                kv_table_hash(&other.table, "a", 1));
    free_table(&one);
    free_table(&other);
}

/* --- Totals --- */

static struct kv_table_totals some_totals(uint64_t number)
{
    struct kv_table_totals totals = kv_table_no_totals();
    totals.applied = number;
    totals.slots_used = 2 * number;
    totals.last = (struct kv_log_pointer){.offset = number, .length = 7};
    totals.counts.keys = 3 * number;
    return totals;
}

static void assert_loads(const struct kv_table *table, uint64_t number)
{
    struct kv_table_totals expected = some_totals(number);
    struct kv_table_totals totals;
    assert_true(kv_table_load_totals(table, &totals));
    assert_memory_equal(&totals, &expected, sizeof totals);
}

static void stored_totals_are_loaded(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    for (uint64_t i = 1; i < 10; i++) {
        struct kv_table_totals totals = some_totals(i);

        kv_table_store_totals(&fixture.table, &totals);

        assert_loads(&fixture.table, i);
    }
    free_table(&fixture);
}

/* A writer that dies while it publishes leaves the earlier totals. */
static void half_stored_totals_are_not_loaded(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    struct kv_table_header *header = fixture.table.header;
    struct kv_table_totals totals = some_totals(1);
    kv_table_store_totals(&fixture.table, &totals);
    uint64_t other = 1 - header->chooser;
    for (size_t i = 0; i <= KV_TABLE_TOTALS_WORDS; i++) {
        header->totals[other][i] = 99;

        assert_loads(&fixture.table, 1);
    }
    free_table(&fixture);
}

static void totals_with_a_wrong_word_are_refused(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    struct kv_table_header *header = fixture.table.header;
    struct kv_table_totals totals = some_totals(1);
    kv_table_store_totals(&fixture.table, &totals);
    for (size_t i = 0; i <= KV_TABLE_TOTALS_WORDS; i++) {
        header->totals[header->chooser][i] ^= UINT64_C(1) << (i * 5 % 64);

        assert_false(kv_table_load_totals(&fixture.table, &totals));

        header->totals[header->chooser][i] ^= UINT64_C(1) << (i * 5 % 64);
    }
    assert_loads(&fixture.table, 1);
    free_table(&fixture);
}

/* --- Attaching --- */

/* True if it attaches, with a hash that matches whatever the header holds. */
static bool attaches(struct fixture *fixture, size_t size)
{
    struct kv_table table;
    struct kv_table_identity identity = fixture->table.header->identity;
    kv_table_seal(&fixture->table, &identity);
    return kv_table_attach(fixture->table.header, size, &table);
}

static void attached_index_is_the_formatted_one(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL + 2);
    assert_true(put_new(&fixture, hash_of(1), 5));
    struct kv_table table;
    struct kv_table_identity identity = {.log_inode = 7};
    kv_table_seal(&fixture.table, &identity);

    assert_true(kv_table_attach(
        fixture.table.header, kv_table_region_size(LEVEL + 2), &table));

    assert_leads_to(&table, hash_of(1), 5);
    assert_int_equal(table.level, LEVEL + 2);
    assert_int_equal(table.tag_level, LEVEL + 2);
    assert_int_equal(table.seed, 42);
    free_table(&fixture);
}

static void attaching_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL + 10);
    struct kv_table_header *header = fixture.table.header;
    struct kv_table_header good = *header;
    size_t size = kv_table_region_size(LEVEL + 10);
    assert_true(attaches(&fixture, size));

    assert_false(attaches(&fixture, size - 8));
    assert_false(attaches(&fixture, KV_TABLE_HEADER_SIZE));
    for (int bit = 0; bit < 64; bit++) {
        header->magic = good.magic ^ UINT64_C(1) << bit;
        assert_false(attaches(&fixture, size));
        header->magic = good.magic;
        header->region_size = good.region_size ^ UINT64_C(1) << bit;
        assert_false(attaches(&fixture, size));
        header->region_size = good.region_size;
    }
    static const uint32_t levels[] = {
        0, KV_TABLE_LEVEL_MIN - 1, LEVEL + 9, LEVEL + 11, 37, 64, UINT32_MAX};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        header->level = levels[i];
        assert_false(attaches(&fixture, size));
    }
    header->level = good.level;
    static const uint32_t tag_levels[] = {
        0, KV_TABLE_LEVEL_MIN - 1, LEVEL, LEVEL + 11, 64, UINT32_MAX};
    for (size_t i = 0; i < sizeof tag_levels / sizeof *tag_levels; i++) {
        header->tag_level = tag_levels[i];
        assert_false(attaches(&fixture, size));
    }
    header->tag_level = LEVEL + 1;
    assert_true(attaches(&fixture, size));
    free_table(&fixture);
}

static void attaching_refuses_a_changed_header(void **state)
{
    (void)state;
    struct fixture fixture = make_table(LEVEL);
    struct kv_table_header *header = fixture.table.header;
    size_t size = kv_table_region_size(LEVEL);
    struct kv_table table;
    assert_true(attaches(&fixture, size));

    header->seed ^= 1;
    assert_false(kv_table_attach(header, size, &table));
    header->seed ^= 1;
    header->identity.log_inode ^= 1;
    assert_false(kv_table_attach(header, size, &table));
    header->identity.log_inode ^= 1;
    assert_true(kv_table_attach(header, size, &table));
    free_table(&fixture);
}

static void attaching_refuses_random_bytes(void **state)
{
    (void)state;
    size_t size = kv_table_region_size(LEVEL);
    uint64_t *words = calloc(1, size);
    assert_non_null(words);
    for (uint64_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < size / sizeof *words; i++) {
            words[i] = round == 0 ? 0 : hash_of(round << 32 | i);
        }
        struct kv_table table;

        assert_false(kv_table_attach(words, size, &table));
    }
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_index_is_empty),
        cmocka_unit_test(absent_hash_ends_on_an_empty_slot),
        cmocka_unit_test(put_slot_is_found),
        cmocka_unit_test(second_put_moves_the_slot_on),
        cmocka_unit_test(flag_is_kept_and_counted),
        cmocka_unit_test(slot_of_nothing_but_zeros_is_taken),
        cmocka_unit_test(equal_hashes_are_all_candidates),
        cmocka_unit_test(walk_ends_at_its_reach),
        cmocka_unit_test(walks_of_one_home_part),
        cmocka_unit_test(walk_wraps_around_at_the_end),
        cmocka_unit_test(full_index_says_so_before_it_is),
        cmocka_unit_test(million_slots_take_as_many_keys_as_are_promised),
        cmocka_unit_test(level_holds_the_keys_it_is_for),
        cmocka_unit_test(spread_slots_are_found_at_each_level),
        cmocka_unit_test(spread_to_a_lower_level_keeps_all),
        cmocka_unit_test(spread_keeps_crowded_slots),
        cmocka_unit_test(slots_tell_their_home_from_each_place),
        cmocka_unit_test(spread_without_a_place_says_so),
        cmocka_unit_test(walk_over_all_meets_each_slot_once),
        cmocka_unit_test(hash_depends_on_key_and_seed),
        cmocka_unit_test(stored_totals_are_loaded),
        cmocka_unit_test(half_stored_totals_are_not_loaded),
        cmocka_unit_test(totals_with_a_wrong_word_are_refused),
        cmocka_unit_test(attached_index_is_the_formatted_one),
        cmocka_unit_test(attaching_refuses_what_does_not_fit),
        cmocka_unit_test(attaching_refuses_a_changed_header),
        cmocka_unit_test(attaching_refuses_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
