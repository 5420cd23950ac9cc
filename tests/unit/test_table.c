/* SPDX-License-Identifier: MIT */

/* Do index/header.c and index/table.c do what their headers promise? */

#include "index/table.h"
#include "os/bounds.h"
#include "os/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUCKETS KV_TABLE_BUCKETS_MIN

/* Returns the same numbers in each run (splitmix64). */
static uint64_t mixed(uint64_t number)
{
    uint64_t word = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

static struct kv_table_secret some_secret(void)
{
    struct kv_table_secret secret;
    for (uint64_t i = 0; i < KV_TABLE_SECRET_WORDS; i++) {
        secret.words[i] = mixed(i << 40);
    }
    return secret;
}

/* Makes a table in a region of exactly the size that is promised. */
static struct kv_table make_table(uint64_t bucket_count)
{
    struct kv_table_secret secret = some_secret();
    void *region = calloc(1, kv_table_region_size(bucket_count));
    assert_non_null(region);
    return kv_table_format(region, bucket_count, &secret);
}

static void free_table(struct kv_table *table)
{
    free(table->header);
}

/* --- Keys --- */

static struct kv_table_hash hash_of(uint64_t number)
{
    return (struct kv_table_hash){.tag = mixed(number),
                                  .check = mixed(~number) & 1023};
}

/* The hash of one of the keys whose walk begins at a bucket. */
static struct kv_table_hash hash_at(const struct kv_table *table,
                                    uint64_t bucket,
                                    uint64_t number)
{
    uint64_t step = UINT64_MAX / table->bucket_count;
    struct kv_table_hash hash = {.tag = bucket * step + step / 2 + number,
                                 .check = number & 1023};
    assert_int_equal(kv_table_home(hash.tag, table->bucket_count), bucket);
    return hash;
}

static struct kv_table_entry entry_at(uint64_t offset)
{
    return (struct kv_table_entry){.pointer = {.offset = offset, .length = 50},
                                   .kind = KV_TABLE_SET};
}

/* Puts an entry at the end of its key's walk, and returns whether that was an
 * empty slot. */
static bool put_entry(struct kv_table *table,
                      struct kv_table_hash hash,
                      struct kv_table_entry entry)
{
    struct kv_table_place place;
    struct kv_table_entry older;
    bool is_new = !kv_table_find(
        table, hash, entry.kind == KV_TABLE_DAMAGE, &place, &older);
    kv_table_put(table, hash, place, is_new, &entry);
    return is_new;
}

static void put_new(struct kv_table *table,
                    struct kv_table_hash hash,
                    uint64_t offset)
{
    assert_true(put_entry(table, hash, entry_at(offset)));
}

static bool is_entry(struct kv_table_entry entry, struct kv_table_entry other)
{
    return entry.pointer.offset == other.pointer.offset &&
           entry.pointer.length == other.pointer.length &&
           entry.kind == other.kind;
}

static bool has_entry(const struct kv_table *table,
                      struct kv_table_hash hash,
                      struct kv_table_entry expected)
{
    bool is_damage = expected.kind == KV_TABLE_DAMAGE;
    struct kv_table_place place;
    struct kv_table_entry entry;
    struct kv_table_slot slot = kv_table_get(table, hash, is_damage);
    return kv_table_find(table, hash, is_damage, &place, &entry) &&
           is_entry(entry, expected) && slot.tag == hash.tag &&
           is_entry(kv_table_entry_of(slot), expected);
}

static void assert_leads_to(const struct kv_table *table,
                            struct kv_table_hash hash,
                            uint64_t offset)
{
    assert_true(has_entry(table, hash, entry_at(offset)));
}

static void assert_absent(const struct kv_table *table,
                          struct kv_table_hash hash)
{
    struct kv_table_place place;
    struct kv_table_entry entry;
    assert_false(kv_table_find(table, hash, false, &place, &entry));
    assert_false(kv_table_find(table, hash, true, &place, &entry));
    assert_true(kv_table_get(table, hash, false).tag == 0);
    assert_true(kv_table_get(table, hash, true).tag == 0);
}

static uint64_t count_slots(const struct kv_table *table)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        count += kv_table_load(table, i).tag != 0 ? 1 : 0;
    }
    return count;
}

/* --- Hashes --- */

static void hash_depends_on_key_and_secret(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_hash a = kv_table_hash(&table, "a", 1);
    struct kv_table_hash b = kv_table_hash(&table, "b", 1);
    struct kv_table_hash longer = kv_table_hash(&table, "a", 2);
    assert_true(a.tag == kv_table_hash(&table, "a", 1).tag);
    assert_true(a.tag != b.tag);
    assert_true(a.tag != longer.tag);

    table.secret.words[0] ^= 1;

    assert_true(a.tag != kv_table_hash(&table, "a", 1).tag);
    free_table(&table);
}

/* All values of the ten bits occur, whatever the tags are. */
static void check_has_ten_bits(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    bool has[1024] = {false};
    unsigned count = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        struct kv_table_hash hash = kv_table_hash(&table, &i, sizeof i);
        assert_true(hash.check < 1024);
        count += has[hash.check] ? 0 : 1;
        has[hash.check] = true;
    }
    assert_int_equal(count, 1024);
    free_table(&table);
}

/* With a secret that begins with these bytes, the hash of "a" is 0. */
static void tag_is_never_zero(void **state)
{
    (void)state;
    static const unsigned char bytes[8] = {0x61, 0x01, 0x61, 0x61};
    struct kv_table table = make_table(BUCKETS);
    memcpy(table.secret.words, bytes, sizeof bytes);

    struct kv_table_hash hash = kv_table_hash(&table, "a", 1);

    assert_true(hash.tag == 1);
    put_new(&table, hash, 100);
    assert_leads_to(&table, hash, 100);
    assert_int_equal(count_slots(&table), 1);
    free_table(&table);
}

static const uint64_t bucket_counts[] = {64, 65, 97, 1000, 4097, 1000003};
#define BUCKET_COUNTS (sizeof bucket_counts / sizeof *bucket_counts)

static void home_grows_with_the_tag(void **state)
{
    (void)state;
    for (size_t i = 0; i < BUCKET_COUNTS; i++) {
        uint64_t count = bucket_counts[i];
        uint64_t before = 0;
        assert_int_equal(kv_table_home(1, count), 0);
        assert_int_equal(kv_table_home(UINT64_MAX, count), count - 1);
        for (uint64_t part = 0; part < 100000; part++) {
            uint64_t tag = UINT64_MAX / 100000 * part + mixed(part) % 1000;
            uint64_t home = kv_table_home(tag, count);
            assert_true(home >= before && home < count);
            before = home;
        }
    }
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 wide;

static void assert_home(uint64_t tag, uint64_t count)
{
    assert_true(kv_table_home(tag, count) ==
                (uint64_t)((wide)tag * count >> 64));
}

/* Also next to each border, where a rounding would show. */
static void home_is_the_tags_share_of_the_buckets(void **state)
{
    (void)state;
    static const uint64_t more[] = {0xffffffff, 0xfffffffe, 0x80000001};
    for (size_t i = 0; i < BUCKET_COUNTS + 3; i++) {
        uint64_t count =
            i < BUCKET_COUNTS ? bucket_counts[i] : more[i - BUCKET_COUNTS];
        for (uint64_t number = 0; number < 20000; number++) {
            uint64_t bucket = 1 + mixed(number) % (count - 1);
            uint64_t first =
                (uint64_t)((((wide)bucket << 64) + count - 1) / count);
            assert_home(mixed(number), count);
            assert_home(first, count);
            assert_home(first - 1, count);
            assert_int_equal(kv_table_home(first, count), bucket);
            assert_int_equal(kv_table_home(first - 1, count), bucket - 1);
        }
    }
}
#else
static void home_is_the_tags_share_of_the_buckets(void **state)
{
    (void)state;
    skip();
}
#endif

/* --- Slots --- */

static void new_table_is_empty(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_totals none = kv_table_no_totals();
    struct kv_table_secret secret = some_secret();

    assert_int_equal(count_slots(&table), 0);
    assert_int_equal(kv_table_slot_count(&table), 4 * BUCKETS);
    assert_absent(&table, hash_of(1));
    struct kv_table_totals totals;
    assert_true(kv_table_load_totals(&table, &totals));
    assert_memory_equal(&totals, &none, sizeof totals);
    assert_int_equal(totals.counts.damaged_offset, UINT64_MAX);
    assert_int_equal(totals.counts.unknown_offset, UINT64_MAX);
    assert_memory_equal(&table.header->secret, &secret, sizeof secret);
    assert_int_equal(table.header->state, KV_TABLE_SWITCHING);
    assert_int_equal(kv_table_writing(&table), KV_TABLE_APPENDING);
    free_table(&table);
}

static void put_slot_is_found(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    put_new(&table, hash_of(1), 0);
    put_new(&table, hash_of(2), KV_OFFSET_MAX);

    assert_leads_to(&table, hash_of(1), 0);
    assert_leads_to(&table, hash_of(2), KV_OFFSET_MAX);
    assert_absent(&table, hash_of(3));
    assert_int_equal(count_slots(&table), 2);
    free_table(&table);
}

static void second_put_moves_the_slot_on(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    put_new(&table, hash_of(1), 100);
    struct kv_table_entry newer = {.pointer = {.offset = 200, .length = 7},
                                   .kind = KV_TABLE_REMOVE};

    assert_false(put_entry(&table, hash_of(1), newer));

    assert_true(has_entry(&table, hash_of(1), newer));
    assert_int_equal(count_slots(&table), 1);
    free_table(&table);
}

static void offset_has_forty_bits(void **state)
{
    (void)state;
    struct kv_table_hash hash = {.tag = 1, .check = 1023};
    for (unsigned bit = 0; bit < 40; bit++) {
        struct kv_table_entry entry = {
            .pointer = {.offset = UINT64_C(1) << bit, .length = 0},
            .kind = KV_TABLE_SET};
        struct kv_table_entry read =
            kv_table_entry_of(kv_table_slot_of(hash, &entry));
        assert_true(read.pointer.offset == entry.pointer.offset);
        assert_true(read.pointer.length == 0 && read.kind == KV_TABLE_SET);
    }
}

/* Beside the largest offset, and with each kind. */
static void length_is_exact_unless_it_is_long(void **state)
{
    (void)state;
    static const uint64_t large[] = {4096, 8191, 8192, INT32_MAX};
    for (uint64_t i = 0; i <= 4099; i++) {
        uint64_t length = i < 4096 ? i : large[i - 4096];
        struct kv_table_hash hash = {.tag = i + 1, .check = i & 1023};
        struct kv_table_entry entry = {
            .pointer = {.offset = KV_OFFSET_MAX - i, .length = length},
            .kind = (enum kv_table_kind)(i % 4)};
        struct kv_table_slot slot = kv_table_slot_of(hash, &entry);
        struct kv_table_entry read = kv_table_entry_of(slot);

        assert_true(slot.tag == hash.tag);
        assert_true(slot.pointer >> 54 == hash.check);
        assert_true(read.pointer.offset == entry.pointer.offset);
        assert_true(read.kind == entry.kind);
        assert_int_equal(read.pointer.length,
                         length < 4095 ? length : KV_TABLE_LENGTH_LONG);
        assert_int_equal(kv_table_is_long(&read), length >= 4095);
    }
}

static void equal_tags_are_told_apart_by_ten_more_bits(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_hash hash = hash_at(&table, 60, 0);
    uint64_t count = kv_table_room(&table);
    for (hash.check = 0; hash.check < count; hash.check++) {
        assert_absent(&table, hash);
        put_new(&table, hash, hash.check * 100);
    }
    for (hash.check = 0; hash.check < count; hash.check++) {
        assert_leads_to(&table, hash, hash.check * 100);
    }
    for (unsigned bit = 8; bit < 10; bit++) {
        hash.check = UINT64_C(1) << bit | 5;
        assert_absent(&table, hash);
    }
    free_table(&table);
}

static void damage_has_a_slot_beside_the_other_one(void **state)
{
    (void)state;
    static const enum kv_table_kind kinds[] = {
        KV_TABLE_SET, KV_TABLE_EXPIRING_SET, KV_TABLE_REMOVE};
    for (size_t i = 0; i < 6; i++) {
        struct kv_table table = make_table(BUCKETS);
        struct kv_table_entry entry = {.pointer = {.offset = 9, .length = 30},
                                       .kind = kinds[i / 2]};
        struct kv_table_entry damage = {.pointer = {.offset = 50, .length = 40},
                                        .kind = KV_TABLE_DAMAGE};
        bool is_damage_first = i % 2 == 1;

        assert_true(
            put_entry(&table, hash_of(1), is_damage_first ? damage : entry));
        assert_true(
            put_entry(&table, hash_of(1), is_damage_first ? entry : damage));

        assert_true(has_entry(&table, hash_of(1), entry));
        assert_true(has_entry(&table, hash_of(1), damage));
        assert_int_equal(count_slots(&table), 2);
        free_table(&table);
    }
}

/* Which slots tell of damage. */
static uint64_t damage_slots(const struct kv_table *table)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        struct kv_table_slot slot = kv_table_load(table, i);
        bool is_damage =
            slot.tag != 0 && kv_table_entry_of(slot).kind == KV_TABLE_DAMAGE;
        sum += is_damage ? mixed(i) : 0;
    }
    return sum;
}

static void slot_of_damage_stays_one(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_entry entry = entry_at(10);
    struct kv_table_entry damage = {.pointer = {.offset = 50, .length = 40},
                                    .kind = KV_TABLE_DAMAGE};
    assert_true(put_entry(&table, hash_of(1), damage));
    assert_true(put_entry(&table, hash_of(1), entry));
    uint64_t before = damage_slots(&table);
    for (uint64_t i = 0; i < 100; i++) {
        struct kv_table_entry *moved = i % 3 == 0 ? &damage : &entry;
        moved->pointer.offset += 1000;
        moved->kind = moved == &damage ? KV_TABLE_DAMAGE
                                       : (enum kv_table_kind)(i / 3 % 3);

        assert_false(put_entry(&table, hash_of(1), *moved));

        assert_true(damage_slots(&table) == before);
        assert_true(has_entry(&table, hash_of(1), damage));
    }
    assert_true(has_entry(&table, hash_of(1), entry));
    assert_int_equal(count_slots(&table), 2);
    free_table(&table);
}

/* --- Empty slots --- */

/* What writers have left that died before they stored the tag. */
static void pointer_without_a_tag_is_not_read(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    for (uint64_t i = 0; i < kv_table_slot_count(&table); i++) {
        table.words[i * 2 + 1] = i % 2 == 0 ? UINT64_MAX : mixed(i);
    }
    struct kv_table_slot slot = kv_table_load(&table, 17);
    assert_true(slot.tag == 0 && slot.pointer == 0);
    assert_int_equal(count_slots(&table), 0);
    for (uint64_t check = 0; check < 1024; check++) {
        struct kv_table_hash hash = {.tag = 0, .check = check};
        assert_absent(&table, hash);
        hash.tag = mixed(check);
        assert_absent(&table, hash);
    }

    for (uint64_t i = 0; i < 100; i++) {
        put_new(&table, hash_of(i), i);
        assert_true(kv_table_insert(
            &table,
            kv_table_slot_of(hash_of(i + 100),
                             &(struct kv_table_entry){.pointer = {i, 50}})));
    }

    for (uint64_t i = 0; i < 200; i++) {
        assert_leads_to(&table, hash_of(i), i % 100);
    }
    assert_int_equal(count_slots(&table), 200);
    free_table(&table);
}

static struct kv_io_table stepping_table;
static const struct kv_table *stepped_table;
static uint64_t stepped_slot;
static char steps[256];

/* Notes each step, and whether the slot had its tag and its pointer then. */
static void note_step(const char *name)
{
    const _Atomic uint64_t *words = stepped_table->words + stepped_slot * 2;
    size_t used = strlen(steps);
    (void)snprintf(steps + used,
                   sizeof steps - used,
                   "%s%s%s;",
                   name,
                   words[0] != 0 ? " tag" : "",
                   words[1] == UINT64_MAX ? "" : " pointer");
}

static void start_steps(const struct kv_table *table, uint64_t slot)
{
    stepped_table = table;
    stepped_slot = slot;
    steps[0] = '\0';
    stepping_table = *kv_io_system_table();
    stepping_table.step = note_step;
    kv_io_swap_table(&stepping_table);
}

static void tag_is_stored_once_and_after_its_pointer(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    uint64_t slot = 40;
    struct kv_table_hash hash = hash_at(&table, 10, 1);
    table.words[slot * 2 + 1] = UINT64_MAX;

    start_steps(&table, slot);
    put_new(&table, hash, 5);
    assert_false(put_entry(&table, hash, entry_at(6)));
    kv_io_swap_table(kv_io_system_table());

    assert_string_equal(steps,
                        "pointer pointer;slot tag pointer;slot tag pointer;");
    free_table(&table);
}

/* --- Walks --- */

static void put_many_at(struct kv_table *table, uint64_t bucket, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        put_new(table, hash_at(table, bucket, i), i * 100);
    }
}

static void assert_many_at(const struct kv_table *table,
                           uint64_t bucket,
                           uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        assert_leads_to(table, hash_at(table, bucket, i), i * 100);
    }
    assert_absent(table, hash_at(table, bucket, count));
}

static void walk_goes_on_from_bucket_to_bucket(void **state)
{
    (void)state;
    struct kv_table table = make_table(97);
    put_many_at(&table, 20, 30);

    assert_many_at(&table, 20, 30);

    for (uint64_t slot = 0; slot < kv_table_slot_count(&table); slot++) {
        assert_int_equal(kv_table_load(&table, slot).tag != 0,
                         slot >= 80 && slot < 110);
    }
    free_table(&table);
}

static void walk_wraps_around_at_the_end(void **state)
{
    (void)state;
    struct kv_table table = make_table(65);
    put_many_at(&table, 64, 11);
    put_many_at(&table, 0, 2);

    assert_many_at(&table, 64, 11);
    assert_many_at(&table, 0, 2);

    uint64_t slots = kv_table_slot_count(&table);
    for (uint64_t slot = 0; slot < slots; slot++) {
        assert_int_equal(kv_table_load(&table, slot).tag != 0,
                         slot < 9 || slot >= slots - 4);
    }
    free_table(&table);
}

static void walk_ends_at_an_empty_slot(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_hash hash = hash_at(&table, 3, 1);
    struct kv_table_entry entry = entry_at(77);
    struct kv_table_place place;

    kv_table_put(
        &table, hash, (struct kv_table_place){.slot = 13}, true, &entry);

    assert_false(kv_table_find(&table, hash, false, &place, &entry));
    assert_int_equal(place.slot, 12);
    free_table(&table);
}

/* A walk that has ended at an empty slot goes on there when others have put
 * theirs into it, and finds what was put meanwhile. */
static void find_goes_on_from_its_place(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_hash hash = hash_at(&table, 63, 1000);
    struct kv_table_place place;
    struct kv_table_entry entry;
    put_many_at(&table, 63, 3);
    assert_false(kv_table_find(&table, hash, false, &place, &entry));
    assert_int_equal(place.slot, 255);
    for (uint64_t i = 3; i < 6; i++) {
        put_new(&table, hash_at(&table, 63, i), i * 100);
    }

    assert_false(kv_table_find_on(&table, hash, false, &place, &entry));
    assert_int_equal(place.slot, 2);
    put_new(&table, hash, 777);
    place.slot = 255;
    assert_true(kv_table_find_on(&table, hash, false, &place, &entry));
    assert_int_equal(place.slot, 2);
    assert_int_equal(entry.pointer.offset, 777);
    assert_true(kv_table_find_on(&table, hash, false, &place, &entry));
    free_table(&table);
}

static void full_table_ends_a_walk_after_one_round(void **state)
{
    (void)state;
    struct kv_table table = make_table(65);
    uint64_t count = 0;
    struct kv_table_entry entry = entry_at(0);
    while (kv_table_insert(&table, kv_table_slot_of(hash_of(count), &entry))) {
        count++;
        entry = entry_at(count);
    }
    assert_int_equal(count, kv_table_slot_count(&table));
    assert_int_equal(count_slots(&table), count);

    for (uint64_t i = 0; i < count; i++) {
        assert_leads_to(&table, hash_of(i), i);
    }
    for (uint64_t i = count; i < count + 100; i++) {
        struct kv_table_place place = {.slot = i - count};
        assert_absent(&table, hash_of(i));
        assert_false(
            kv_table_find_on(&table, hash_of(i), false, &place, &entry));
        assert_false(
            kv_table_insert(&table, kv_table_slot_of(hash_of(i), &entry)));
    }
    free_table(&table);
}

/* --- Sizes --- */

static void any_number_of_buckets_holds_what_it_has_room_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < BUCKET_COUNTS - 1; i++) {
        struct kv_table table = make_table(bucket_counts[i]);
        uint64_t room = kv_table_room(&table);
        assert_int_equal(room, bucket_counts[i] * 3);
        for (uint64_t number = 0; number < room; number++) {
            put_new(&table, hash_of(number), number);
        }
        for (uint64_t number = 0; number < room; number++) {
            assert_leads_to(&table, hash_of(number), number);
            assert_absent(&table, hash_of(room + number));
        }
        assert_int_equal(count_slots(&table), room);
        free_table(&table);
    }
}

static void buckets_hold_the_keys_they_are_for(void **state)
{
    (void)state;
    static const uint64_t counts[] = {
        0, 1, 170, 171, 172, 192, 193, 1663, 1664, 10000, 1000000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        uint64_t buckets = kv_table_buckets_for(counts[i]);
        struct kv_table table = {.bucket_count = buckets};
        uint64_t room = kv_table_room(&table);

        assert_true(buckets >= KV_TABLE_BUCKETS_MIN);
        assert_true(room > counts[i] + counts[i] / 10);
        assert_true(buckets == KV_TABLE_BUCKETS_MIN ||
                    room <= counts[i] + counts[i] / 8 + 3);
    }
    assert_int_equal(kv_table_buckets_for(UINT64_C(1) << 40),
                     KV_TABLE_BUCKETS_MAX);
}

static void region_is_a_page_and_its_buckets(void **state)
{
    (void)state;
    assert_int_equal(kv_table_region_size(64), 4096 + 64 * 64);
    assert_int_equal(kv_table_region_size(65), 4096 + 65 * 64);
    struct kv_table table = make_table(65);
    assert_ptr_equal(table.words, (char *)(void *)table.header + 4096);
    assert_int_equal(table.header->region_size, 4096 + 65 * 64);
    free_table(&table);
}

/* --- Sums --- */

static const uint64_t random_words[2] = {UINT64_C(0x243f6a8885a308d3),
                                         UINT64_C(0x13198a2e03707344)};

/* Whoever does not know the random words cannot make slots of a sum. */
static void sum_depends_on_the_random_words(void **state)
{
    (void)state;
    static const uint64_t others[2] = {1, 2};
    const struct kv_table_slot slot = {.tag = 3, .pointer = 4};
    assert_true(kv_table_mix(slot, random_words) != kv_table_mix(slot, others));
}

static void sum_differs_if_either_word_does(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        struct kv_table_slot slot = {.tag = mixed(i), .pointer = mixed(~i)};
        uint64_t sum = kv_table_mix(slot, random_words);
        assert_true(sum == kv_table_mix(slot, random_words));
        for (unsigned bit = 0; bit < 64; bit++) {
            struct kv_table_slot other = slot;
            other.tag ^= UINT64_C(1) << bit;
            assert_true(kv_table_mix(other, random_words) != sum);
            other = slot;
            other.pointer ^= UINT64_C(1) << bit;
            assert_true(kv_table_mix(other, random_words) != sum);
        }
        struct kv_table_slot crossed = {.tag = slot.pointer,
                                        .pointer = slot.tag};
        assert_true(kv_table_mix(crossed, random_words) != sum);
    }
}

/* Two slots with each other's pointers, or with the same change the other way
 * round. */
static void sum_of_slots_tells_which_has_what(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        struct kv_table_slot a = {.tag = mixed(i), .pointer = i};
        struct kv_table_slot b = {.tag = mixed(~i), .pointer = i + 50};
        uint64_t sum =
            kv_table_mix(a, random_words) + kv_table_mix(b, random_words);
        struct kv_table_slot c = {.tag = a.tag, .pointer = b.pointer};
        struct kv_table_slot d = {.tag = b.tag, .pointer = a.pointer};
        assert_true(kv_table_mix(c, random_words) +
                        kv_table_mix(d, random_words) !=
                    sum);
        c = (struct kv_table_slot){.tag = a.tag, .pointer = a.pointer + 1};
        d = (struct kv_table_slot){.tag = b.tag, .pointer = b.pointer - 1};
        assert_true(kv_table_mix(c, random_words) +
                        kv_table_mix(d, random_words) !=
                    sum);
    }
}

/* --- Totals --- */

static struct kv_table_totals some_totals(uint64_t number)
{
    struct kv_table_totals totals;
    uint64_t words[KV_TABLE_TOTALS_WORDS];
    for (size_t i = 0; i < KV_TABLE_TOTALS_WORDS; i++) {
        words[i] = number * 1000 + i;
    }
    memcpy(&totals, words, sizeof totals);
    return totals;
}

static void stored_totals_are_loaded(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    for (uint64_t i = 1; i < 10; i++) {
        struct kv_table_totals stored = some_totals(i);
        struct kv_table_totals totals;

        kv_table_store_totals(&table, &stored);
        totals = kv_table_peek_totals(&table);
        assert_memory_equal(&totals, &stored, sizeof totals);

        atomic_store(&table.header->end, stored.applied);
        assert_true(kv_table_load_totals(&table, &totals));
        assert_memory_equal(&totals, &stored, sizeof totals);
    }
    free_table(&table);
}

static uint64_t seen_applied;
static unsigned seen_new;

/* Notes how much of the totals is stored by then. */
static void look_at_totals(const char *name)
{
    assert_string_equal(name, "half totals");
    seen_applied = stepped_table->header->totals[0];
    seen_new = 0;
    for (size_t i = 0; i < KV_TABLE_TOTALS_WORDS; i++) {
        seen_new += stepped_table->header->totals[i] >= 2000 ? 1 : 0;
    }
}

static void applied_is_stored_last(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_totals older = some_totals(1);
    struct kv_table_totals newer = some_totals(2);
    kv_table_store_totals(&table, &older);

    start_steps(&table, 0);
    stepping_table.step = look_at_totals;
    seen_applied = 0;
    kv_table_store_totals(&table, &newer);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(seen_applied, 1000);
    assert_int_equal(seen_new,
                     KV_TABLE_TOTALS_WORDS - KV_TABLE_TOTALS_WORDS / 2);
    free_table(&table);
}

static int64_t now_ns;
static int64_t settles_at_ns;

/* A tenth of a millisecond passes with each look; the writer is done at its
 * time. */
static int64_t ticking_clock_ns(void)
{
    now_ns += 100000;
    if (now_ns >= settles_at_ns) {
        atomic_store(&stepped_table->header->end,
                     stepped_table->header->totals[0]);
    }
    return now_ns;
}

/* Tries to load totals whose writer is done after a time. */
static bool loads_after(struct kv_table *table, int64_t ns)
{
    struct kv_table_totals totals;
    atomic_store(&table->header->end, table->header->totals[0] + 1);
    now_ns = INT64_C(5000000000);
    settles_at_ns = now_ns + ns;
    start_steps(table, 0);
    stepping_table.clock_ns = ticking_clock_ns;
    kv_io_swap_table(&stepping_table);
    bool result = kv_table_load_totals(table, &totals);
    kv_io_swap_table(kv_io_system_table());
    now_ns -= INT64_C(5000000000);
    return result;
}

static void totals_that_keep_changing_are_given_up(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_totals totals = some_totals(3);
    kv_table_store_totals(&table, &totals);

    assert_false(loads_after(&table, INT64_MAX / 2));
    assert_in_range((uint64_t)now_ns, 1000000, 1200000);
    assert_true(loads_after(&table, 700000));
    assert_in_range((uint64_t)now_ns, 700000, 800000);
    free_table(&table);
}

/* A writer may be ahead with its end, and a mistaken one behind. */
static void totals_of_another_end_are_not_loaded(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    struct kv_table_totals totals = some_totals(1);
    kv_table_store_totals(&table, &totals);
    static const uint64_t ends[] = {0, 999, 1001, UINT64_MAX};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        atomic_store(&table.header->end, ends[i]);
        assert_false(kv_table_load_totals(&table, &totals));
    }
    free_table(&table);
}

static struct kv_table_totals sound_totals(void)
{
    return (struct kv_table_totals){.applied = 1000,
                                    .slots_used = 50,
                                    .damage_slots = 10,
                                    .last = {.offset = 900, .length = 100},
                                    .counts = {.keys = 40,
                                               .live_bytes = 500,
                                               .stale_bytes = 300,
                                               .tombstone_bytes = 300,
                                               .blank_bytes = 150,
                                               .damaged_bytes = 50,
                                               .damaged_records = 50,
                                               .damaged_offset = 100,
                                               .unknown_records = 1,
                                               .unknown_offset = 200}};
}

/* The same totals with one word, by its number, changed. */
static bool adds_up_with(const struct kv_table *table,
                         size_t word,
                         uint64_t value)
{
    struct kv_table_totals totals = sound_totals();
    uint64_t words[KV_TABLE_TOTALS_WORDS];
    memcpy(words, &totals, sizeof totals);
    words[word] = value;
    memcpy(&totals, words, sizeof totals);
    return kv_table_totals_add_up(table, &totals);
}

#define WORD_OF(member) (offsetof(struct kv_table_totals, member) / 8)

static void totals_that_cannot_be_do_not_add_up(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    static const struct {
        size_t word;
        uint64_t sound;
    } words[] = {
        {WORD_OF(applied), 1000},
        {WORD_OF(counts.live_bytes), 500},
        {WORD_OF(counts.stale_bytes), 300},
        {WORD_OF(counts.blank_bytes), 150},
        {WORD_OF(counts.damaged_bytes), 50},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t sound = words[i].sound;
        assert_true(adds_up_with(&table, words[i].word, sound));
        assert_false(adds_up_with(&table, words[i].word, sound + 1));
        assert_false(adds_up_with(&table, words[i].word, sound - 1));
        assert_false(adds_up_with(&table, words[i].word, sound - 1000));
        assert_false(adds_up_with(&table, words[i].word, UINT64_MAX));
    }
    free_table(&table);
}

/* The most that each word may be, where the others are as they are. */
static void totals_have_their_bounds(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    static const struct {
        size_t word;
        uint64_t most;
    } words[] = {
        {WORD_OF(counts.tombstone_bytes), 300},
        {WORD_OF(counts.damaged_records), 50},
        {WORD_OF(counts.damaged_offset), 999},
        {WORD_OF(counts.unknown_offset), 999},
        {WORD_OF(last.offset), 900},
        {WORD_OF(last.length), 100},
        {WORD_OF(counts.keys), 50},
        {WORD_OF(damage_slots), 50},
        {WORD_OF(slots_used), 1000 / 16},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_true(adds_up_with(&table, words[i].word, words[i].most));
        assert_false(adds_up_with(&table, words[i].word, words[i].most + 1));
        assert_false(adds_up_with(&table, words[i].word, UINT64_MAX));
    }
    assert_false(adds_up_with(&table, WORD_OF(counts.damaged_records), 0));
    assert_false(adds_up_with(&table, WORD_OF(counts.unknown_records), 0));
    struct kv_table_totals totals = kv_table_no_totals();
    totals.applied = totals.counts.live_bytes = KV_OFFSET_MAX;
    totals.slots_used = kv_table_slot_count(&table);
    assert_true(kv_table_totals_add_up(&table, &totals));
    totals.slots_used++;
    assert_false(kv_table_totals_add_up(&table, &totals));
    totals.slots_used--;
    totals.applied = totals.counts.live_bytes = KV_OFFSET_MAX + 1;
    assert_false(kv_table_totals_add_up(&table, &totals));
    free_table(&table);
}

static void large_table_needs_slots_in_use(void **state)
{
    (void)state;
    uint64_t first = ((UINT64_C(17) << 20) - 4096) / 64;
    struct kv_table table = {.bucket_count = first};
    assert_true(kv_table_is_explained(&table, 0));
    table.bucket_count = first + 1;
    assert_false(kv_table_is_explained(&table, 0));
    assert_false(kv_table_is_explained(&table, (first + 1) * 4 / 64 - 1));
    assert_true(kv_table_is_explained(&table, (first + 1) * 4 / 64));
}

/* --- The writing word --- */

static void unknown_writing_word_means_publishing(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    for (unsigned i = 0; i < 3; i++) {
        kv_table_set_writing(&table, (enum kv_table_writing)i);
        assert_int_equal(kv_table_writing(&table), i);
    }
    static const uint64_t words[] = {
        3, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        atomic_store(&table.header->writing, words[i]);
        assert_int_equal(kv_table_writing(&table), KV_TABLE_PUBLISHING);
    }
    free_table(&table);
}

/* The words of a header, apart from what never changes. */
static _Atomic uint64_t *words_of(struct kv_table *table, size_t *count_out)
{
    *count_out = (sizeof(struct kv_table_header) -
                  offsetof(struct kv_table_header, state)) /
                 8;
    return &table->header->state;
}

#define HEADER_WORD(member) \
    ((offsetof(struct kv_table_header, member) - \
      offsetof(struct kv_table_header, state)) / \
     8)

static void what_was_noted_is_inherited(void **state)
{
    (void)state;
    static const size_t inherited[] = {HEADER_WORD(has_damage),
                                       HEADER_WORD(slow_until),
                                       HEADER_WORD(failed_at),
                                       HEADER_WORD(kept),
                                       HEADER_WORD(succession[0]),
                                       HEADER_WORD(succession[1]),
                                       HEADER_WORD(succession[2]),
                                       HEADER_WORD(succession[3]),
                                       HEADER_WORD(succession[4]),
                                       HEADER_WORD(succession[5]),
                                       HEADER_WORD(writing),
                                       HEADER_WORD(end)};
    struct kv_table from = make_table(BUCKETS);
    struct kv_table to = make_table(BUCKETS + 1);
    size_t count = 0;
    _Atomic uint64_t *old = words_of(&from, &count);
    _Atomic uint64_t *new = words_of(&to, &count);
    for (size_t i = 0; i < count; i++) {
        old[i] = 1000 + i;
        new[i] = 2000 + i;
    }

    kv_table_inherit(&from, &to);

    for (size_t i = 0; i < count; i++) {
        bool is_inherited = false;
        for (size_t j = 0; j < sizeof inherited / sizeof *inherited; j++) {
            is_inherited |= inherited[j] == i;
        }
        assert_int_equal(new[i], (is_inherited ? 1000 : 2000) + i);
        assert_int_equal(old[i], 1000 + i);
    }
    free_table(&from);
    free_table(&to);
}

/* --- Attaching --- */

/* True if it attaches, with a hash that matches whatever the header holds. */
static bool attaches(struct kv_table *table, size_t size)
{
    struct kv_table attached;
    struct kv_table_identity identity = table->header->identity;
    kv_table_seal(table, &identity);
    return kv_table_attach(table->header, size, &attached);
}

static void attached_table_is_the_formatted_one(void **state)
{
    (void)state;
    struct kv_table formatted = make_table(97);
    put_new(&formatted, hash_of(1), 5);
    struct kv_table table;
    struct kv_table_identity identity = {.log_inode = 7};
    struct kv_table_secret secret = some_secret();
    kv_table_seal(&formatted, &identity);

    assert_true(
        kv_table_attach(formatted.header, kv_table_region_size(97), &table));

    assert_leads_to(&table, hash_of(1), 5);
    assert_int_equal(table.bucket_count, 97);
    assert_ptr_equal(table.words, formatted.words);
    assert_memory_equal(&table.secret, &secret, sizeof secret);
    assert_int_equal(table.header->identity.log_inode, 7);
    free_table(&formatted);
}

static void attaching_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct kv_table table = make_table(1000);
    struct kv_table_header *header = table.header;
    struct kv_table_header good = *header;
    size_t size = kv_table_region_size(1000);
    assert_true(attaches(&table, size));

    assert_false(attaches(&table, size - 8));
    assert_false(attaches(&table, size - 64));
    assert_false(attaches(&table, size + 64));
    assert_false(attaches(&table, KV_TABLE_HEADER_SIZE));
    for (int bit = 0; bit < 64; bit++) {
        header->magic = good.magic ^ UINT64_C(1) << bit;
        assert_false(attaches(&table, size));
        header->magic = good.magic;
        header->region_size = good.region_size ^ UINT64_C(1) << bit;
        assert_false(attaches(&table, size));
        header->region_size = good.region_size;
        header->bucket_count = good.bucket_count ^ UINT64_C(1) << bit;
        assert_false(attaches(&table, size));
        header->bucket_count = good.bucket_count;
    }
    assert_true(attaches(&table, size));
    free_table(&table);
}

/* All sizes agree, but there are too few buckets, or more than any table
 * has. */
static void attaching_refuses_counts_out_of_bounds(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0,
                                      1,
                                      KV_TABLE_BUCKETS_MIN - 1,
                                      KV_TABLE_BUCKETS_MAX + 1,
                                      /* Times 64 this is 64. */
                                      (UINT64_C(1) << 58) + 1};
    struct kv_table table = make_table(BUCKETS);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        uint64_t size = KV_TABLE_HEADER_SIZE + counts[i] * 64;
        table.header->bucket_count = counts[i];
        table.header->region_size = size;
        assert_false(attaches(&table, (size_t)size));
    }
    free_table(&table);
}

static void attaching_refuses_a_changed_header(void **state)
{
    (void)state;
    struct kv_table table = make_table(BUCKETS);
    size_t size = kv_table_region_size(BUCKETS);
    struct kv_table attached;
    unsigned char *bytes = (unsigned char *)(void *)table.header;
    assert_true(attaches(&table, size));

    for (size_t i = 0; i < offsetof(struct kv_table_header, state); i++) {
        bytes[i] ^= 1;
        assert_false(kv_table_attach(table.header, size, &attached));
        bytes[i] ^= 1;
    }
    /* What changes in use is not part of it. */
    atomic_store(&table.header->state, KV_TABLE_LIVE);
    assert_true(kv_table_attach(table.header, size, &attached));
    free_table(&table);
}

static void attaching_refuses_random_bytes(void **state)
{
    (void)state;
    size_t size = kv_table_region_size(BUCKETS);
    uint64_t *words = calloc(1, size);
    assert_non_null(words);
    for (uint64_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < size / sizeof *words; i++) {
            words[i] = round == 0 ? 0 : mixed(round << 32 | i);
        }
        struct kv_table table;

        assert_false(kv_table_attach(words, size, &table));
    }
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_depends_on_key_and_secret),
        cmocka_unit_test(check_has_ten_bits),
        cmocka_unit_test(tag_is_never_zero),
        cmocka_unit_test(home_grows_with_the_tag),
        cmocka_unit_test(home_is_the_tags_share_of_the_buckets),
        cmocka_unit_test(new_table_is_empty),
        cmocka_unit_test(put_slot_is_found),
        cmocka_unit_test(second_put_moves_the_slot_on),
        cmocka_unit_test(offset_has_forty_bits),
        cmocka_unit_test(length_is_exact_unless_it_is_long),
        cmocka_unit_test(equal_tags_are_told_apart_by_ten_more_bits),
        cmocka_unit_test(damage_has_a_slot_beside_the_other_one),
        cmocka_unit_test(slot_of_damage_stays_one),
        cmocka_unit_test(pointer_without_a_tag_is_not_read),
        cmocka_unit_test(tag_is_stored_once_and_after_its_pointer),
        cmocka_unit_test(walk_goes_on_from_bucket_to_bucket),
        cmocka_unit_test(walk_wraps_around_at_the_end),
        cmocka_unit_test(walk_ends_at_an_empty_slot),
        cmocka_unit_test(find_goes_on_from_its_place),
        cmocka_unit_test(full_table_ends_a_walk_after_one_round),
        cmocka_unit_test(any_number_of_buckets_holds_what_it_has_room_for),
        cmocka_unit_test(buckets_hold_the_keys_they_are_for),
        cmocka_unit_test(region_is_a_page_and_its_buckets),
        cmocka_unit_test(sum_depends_on_the_random_words),
        cmocka_unit_test(sum_differs_if_either_word_does),
        cmocka_unit_test(sum_of_slots_tells_which_has_what),
        cmocka_unit_test(stored_totals_are_loaded),
        cmocka_unit_test(applied_is_stored_last),
        cmocka_unit_test(totals_that_keep_changing_are_given_up),
        cmocka_unit_test(totals_of_another_end_are_not_loaded),
        cmocka_unit_test(totals_that_cannot_be_do_not_add_up),
        cmocka_unit_test(totals_have_their_bounds),
        cmocka_unit_test(large_table_needs_slots_in_use),
        cmocka_unit_test(unknown_writing_word_means_publishing),
        cmocka_unit_test(what_was_noted_is_inherited),
        cmocka_unit_test(attached_table_is_the_formatted_one),
        cmocka_unit_test(attaching_refuses_what_does_not_fit),
        cmocka_unit_test(attaching_refuses_counts_out_of_bounds),
        cmocka_unit_test(attaching_refuses_a_changed_header),
        cmocka_unit_test(attaching_refuses_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
