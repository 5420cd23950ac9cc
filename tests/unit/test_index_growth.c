/* SPDX-License-Identifier: MIT */

/* Do index/index.c, index/apply.c and index/grow.c do what their headers
 * promise? Here: growing, by a copy whose window is smaller than any table, and
 * what readers see of an index in use. */

#include "index/apply.h"
#include "index/build.h"
#include "index/grow.h"
#include "index_pair.h"
#include "os/bounds.h"
#include "os/directory.h"
#include "os/error.h"
#include "record/decode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MANY_KEYS 200000u

static bool try_to_catch_up(struct pair *pair, uint64_t size)
{
    bool is_whole = false;
    return kv_build_catch_up(
               &pair->log, size, NULL, false, &pair->index, &is_whole) ==
               KVSTORE_OK &&
           is_whole;
}

static void catch_up(struct pair *pair, uint64_t size)
{
    assert_true(try_to_catch_up(pair, size));
}

/* --- Slots --- */

/* Returns the same numbers in each run (splitmix64). */
static uint64_t mixed(uint64_t number)
{
    uint64_t word = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

/* An index in a file of a directory, or in private memory, and its log. */
static struct pair make_empty(const struct store_dir *dir,
                              uint64_t key_count,
                              bool is_file)
{
    struct pair pair;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    assert_int_equal(kv_log_open(&dir->directory, true, &pair.log), KVSTORE_OK);
    assert_int_equal(kv_index_create(key_count,
                                     is_file ? &dir->directory : NULL,
                                     &pair.log,
                                     &pair.index),
                     KVSTORE_OK);
    return pair;
}

/* Puts a slot with this tag; the rest of it tells it from all others. */
static void put_tag(struct pair *pair, uint64_t tag)
{
    struct kv_table_totals *totals = &pair->index.totals;
    uint64_t number = totals->slots_used++;
    assert_true(tag != 0);
    struct kv_table_hash hash = {.tag = tag, .check = mixed(number) & 1023};
    struct kv_table_entry entry = {
        .pointer = {.offset = KV_OFFSET_MAX - number, .length = number % 4096},
        .kind = (enum kv_table_kind)(number % 4)};
    totals->damage_slots += entry.kind == KV_TABLE_DAMAGE ? 1 : 0;
    assert_true(
        kv_table_insert(&pair->index.table, kv_table_slot_of(hash, &entry)));
}

/* Puts slots whose walks all begin at the bucket that is this part, in 1024ths,
 * of any table. */
static void put_run(struct pair *pair, uint64_t part, uint64_t count)
{
    uint64_t tag = part < 1024 ? (part << 54) + 1 : UINT64_MAX;
    for (uint64_t i = 0; i < count; i++) {
        put_tag(pair, tag - (part < 1024 ? 0 : i) + (part < 1024 ? i : 0));
    }
}

static void put_random(struct pair *pair, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        put_tag(pair, mixed(i << 32));
    }
}

/* A sum over all slots, each word for word, in any order. */
static uint64_t sum_slots(const struct kv_table *table, uint64_t *count_out)
{
    uint64_t sum = 0;
    *count_out = 0;
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        struct kv_table_slot slot = kv_table_load(table, i);
        sum += slot.tag != 0 ? mixed(slot.tag ^ mixed(slot.pointer)) : 0;
        *count_out += slot.tag != 0 ? 1 : 0;
    }
    return sum;
}

/* Each slot is where the walk for its hash ends. */
static void assert_all_found(const struct kv_table *table)
{
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        struct kv_table_slot slot = kv_table_load(table, i);
        if (slot.tag == 0) {
            continue;
        }
        struct kv_table_hash hash = {.tag = slot.tag,
                                     .check = slot.pointer >> 54};
        bool is_damage = kv_table_entry_of(slot).kind == KV_TABLE_DAMAGE;
        struct kv_table_entry entry;
        struct kv_table_place place;
        assert_true(kv_table_find(table, hash, is_damage, &place, &entry));
        assert_int_equal(place.slot, i);
    }
}

static void assert_same_slots(const struct kv_index *index,
                              uint64_t sum,
                              uint64_t count)
{
    uint64_t found = 0;
    assert_true(sum_slots(&index->table, &found) == sum);
    assert_int_equal(found, count);
    assert_int_equal(index->totals.slots_used, count);
    assert_all_found(&index->table);
}

/* Makes the index larger by a half, then by more, and small again; each has the
 * same slots. Closes the pair. */
static void assert_kept(struct pair *pair)
{
    struct kv_index larger;
    uint64_t count = 0;
    uint64_t sum = sum_slots(&pair->index.table, &count);
    uint64_t buckets = pair->index.table.bucket_count;
    struct kv_table_totals totals = pair->index.totals;
    assert_same_slots(&pair->index, sum, count);

    assert_int_equal(
        kv_index_create_larger(&pair->index, 1, &pair->log, &larger),
        KVSTORE_OK);
    assert_int_equal(larger.table.bucket_count, buckets + buckets / 2);
    assert_same_slots(&larger, sum, count);
    assert_memory_equal(&larger.totals, &totals, sizeof totals);
    kv_index_release(&larger);

    assert_int_equal(
        kv_index_create_larger(&pair->index, 30 * buckets, &pair->log, &larger),
        KVSTORE_OK);
    assert_int_equal(larger.table.bucket_count, (count + 30 * buckets) / 3 + 1);
    assert_true(kv_index_has_room(&larger, 30 * buckets));
    assert_same_slots(&larger, sum, count);

    kv_index_shrink(&larger, &pair->log);
    assert_int_equal(larger.table.bucket_count, kv_table_buckets_for(count));
    assert_same_slots(&larger, sum, count);
    assert_memory_equal(&larger.totals, &totals, sizeof totals);
    kv_index_release(&larger);
    close_pair(pair);
}

static const uint64_t key_counts[] = {0, 175, 259, 2500, 9999};
#define KEY_COUNTS (sizeof key_counts / sizeof *key_counts)

static void copy_keeps_each_slot(void **state)
{
    for (size_t i = 0; i < 2 * KEY_COUNTS; i++) {
        struct pair pair = make_empty(*state, key_counts[i / 2], i % 2 == 1);
        put_random(&pair, kv_table_room(&pair.index.table));
        assert_kept(&pair);
    }
}

static void copy_of_an_empty_index_is_empty(void **state)
{
    struct pair pair = make_empty(*state, 0, true);
    assert_kept(&pair);
}

/* The last buckets overflow to the first ones, which are full, too. */
static void copy_keeps_walks_around_the_end(void **state)
{
    for (uint64_t i = 0; i < KEY_COUNTS; i++) {
        struct pair pair = make_empty(*state, key_counts[i] / 2, i % 2 == 1);
        uint64_t part = kv_table_room(&pair.index.table) / 8;
        put_run(&pair, 1024, 2 * part);
        put_run(&pair, 1023, part);
        put_run(&pair, 0, part);
        put_run(&pair, 3, part);
        put_random(&pair, part);
        assert_kept(&pair);
    }
}

/* Thousands of slots of one home: many windows long, wherever it begins. */
static void copy_keeps_runs_longer_than_its_window(void **state)
{
    static const uint64_t parts[] = {0, 1, 300, 512, 900, 1023, 1024};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct pair pair = make_empty(*state, 3000, i % 2 == 1);
        put_random(&pair, 500);
        put_run(&pair, parts[i], 2300);
        put_random(&pair, 1);
        put_tag(&pair, UINT64_MAX - 12345);
        assert_kept(&pair);
    }
}

/* Puts some slots, no more than are left, with tags side by side. */
static void put_random_run(struct pair *pair, uint64_t seed, uint64_t left)
{
    uint64_t number = pair->index.totals.slots_used + (seed << 32);
    uint64_t count = 1 + mixed(number) % 200;
    uint64_t part = mixed(~number) % 1025;
    uint64_t tag = part < 1024 ? part << 54 : UINT64_MAX - 20000;
    for (count = count < left ? count : left; count > 0; count--) {
        put_tag(pair, tag + pair->index.totals.slots_used + 1);
    }
}

static void copy_keeps_several_runs(void **state)
{
    for (uint64_t i = 0; i < 40; i++) {
        struct pair pair = make_empty(*state, mixed(i) % 5000, i % 4 == 0);
        uint64_t room = kv_table_room(&pair.index.table);
        while (pair.index.totals.slots_used < room) {
            put_random_run(&pair, i, room - pair.index.totals.slots_used);
        }
        assert_kept(&pair);
    }
}

static void put_astray(struct kv_table *table, uint64_t seed)
{
    for (uint64_t slot = 0; slot < kv_table_slot_count(table); slot++) {
        if (slot % 4 < mixed(slot / 4 + (seed << 32)) % 5) {
            table->words[slot * 2] = mixed(slot + (seed << 32));
            table->words[slot * 2 + 1] = slot;
        }
    }
}

/* In an index that lies, slots may be where no walk comes by. */
static void copy_keeps_slots_that_are_astray(void **state)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct pair pair = make_empty(*state, 1000, i % 2 == 1);
        struct kv_table *table = &pair.index.table;
        struct kv_index larger;
        uint64_t count = 0;
        put_astray(table, i);
        uint64_t sum = sum_slots(table, &count);
        pair.index.totals.slots_used = count;

        assert_int_equal(
            kv_index_create_larger(&pair.index, 1, &pair.log, &larger),
            KVSTORE_OK);

        assert_same_slots(&larger, sum, count);
        kv_index_release(&larger);
        close_pair(&pair);
    }
}

/* What a writer has left that died before it stored the tag. */
static void copy_leaves_pointers_without_a_tag(void **state)
{
    struct pair pair = make_empty(*state, 0, true);
    struct kv_index larger;
    put_random(&pair, 100);
    for (uint64_t i = 0; i < kv_table_slot_count(&pair.index.table); i++) {
        if (pair.index.table.words[i * 2] == 0) {
            pair.index.table.words[i * 2 + 1] = UINT64_MAX;
        }
    }

    assert_int_equal(kv_index_create_larger(&pair.index, 1, &pair.log, &larger),
                     KVSTORE_OK);

    for (uint64_t i = 0; i < kv_table_slot_count(&larger.table); i++) {
        assert_true(larger.table.words[i * 2] != 0 ||
                    larger.table.words[i * 2 + 1] == 0);
    }
    kv_index_release(&larger);
    assert_kept(&pair);
}

static void copy_keeps_secret_and_notes(void **state)
{
    struct pair pair = make_empty(*state, 0, true);
    struct kv_table_header *header = pair.index.table.header;
    struct kv_index larger;
    atomic_store(&header->has_damage, 1);
    atomic_store(&header->writing, KV_TABLE_PUBLISHING);
    atomic_store(&header->end, 12345);
    pair.index.is_in_doubt = true;
    put_random(&pair, 10);

    assert_int_equal(kv_index_create_larger(&pair.index, 1, &pair.log, &larger),
                     KVSTORE_OK);

    assert_memory_equal(&larger.table.secret,
                        &pair.index.table.secret,
                        sizeof larger.table.secret);
    assert_memory_equal(&larger.table.header->secret,
                        &pair.index.table.secret,
                        sizeof larger.table.secret);
    assert_int_equal(larger.table.header->has_damage, 1);
    assert_int_equal(larger.table.header->end, 12345);
    assert_int_equal(kv_table_writing(&larger.table), KV_TABLE_PUBLISHING);
    assert_int_equal(larger.table.header->state, KV_TABLE_SWITCHING);
    assert_true(larger.is_in_doubt);
    assert_false(larger.is_in_use || larger.is_shared);
    kv_index_release(&larger);
    close_pair(&pair);
}

/* --- Sizes --- */

/* Bytes a key of an index that grows with each key, from 4,096 on: never more
 * than 32, and 26 on the way from one growth to the next. */
static void bytes_a_key_stay_small(void **state)
{
    struct pair pair = make_empty(*state, 0, false);
    double sum = 0;
    double largest = 0;
    uint64_t since = 0;
    uint64_t growths = 0;
    for (uint64_t count = 1; count <= 400000; count++) {
        if (!kv_index_has_room(&pair.index, 1)) {
            assert_int_equal(kv_index_grow(&pair.index, &pair.log), KVSTORE_OK);
            assert_true(since == 0 || sum / (double)since <= 26);
            growths += since == 0 ? 0 : 1;
            since = 0;
            sum = 0;
        }
        put_tag(&pair, mixed(count));
        uint64_t buckets = pair.index.table.bucket_count;
        size_t size = kv_table_region_size(buckets) - KV_TABLE_HEADER_SIZE;
        double each = (double)size / (double)count;
        if (count >= 4096) {
            largest = each > largest ? each : largest;
            sum += each;
            since++;
        }
    }
    assert_true(largest <= 32);
    assert_true(growths >= 10);
    assert_all_found(&pair.index.table);
    close_pair(&pair);
}

/* One growth, to the final size at once. */
static void growth_for_many_keys_is_one(void **state)
{
    static const uint64_t more[] = {1, 96, 97, 98, 1000, 300000};
    struct pair pair = make_empty(*state, 0, false);
    put_random(&pair, 192);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct kv_index larger;
        uint64_t least = (192 + more[i]) / 3 + 1;

        assert_int_equal(
            kv_index_create_larger(&pair.index, more[i], &pair.log, &larger),
            KVSTORE_OK);

        assert_true(kv_index_has_room(&larger, more[i]));
        assert_int_equal(larger.table.bucket_count, least < 96 ? 96 : least);
        kv_index_release(&larger);
    }
    close_pair(&pair);
}

static void room_is_a_number(void **state)
{
    struct pair pair = make_empty(*state, 0, false);
    assert_true(kv_index_has_room(&pair.index, 192));
    assert_false(kv_index_has_room(&pair.index, 193));
    assert_false(kv_index_has_room(&pair.index, UINT64_MAX));
    put_random(&pair, 191);
    assert_true(kv_index_has_room(&pair.index, 1));
    assert_false(kv_index_has_room(&pair.index, 2));
    put_random(&pair, 1);
    assert_true(kv_index_has_room(&pair.index, 0));
    assert_false(kv_index_has_room(&pair.index, 1));
    put_random(&pair, 1);
    assert_false(kv_index_has_room(&pair.index, 0));
    close_pair(&pair);
}

static void index_at_its_limit_is_too_large(void **state)
{
    struct pair pair = make_empty(*state, 0, false);
    struct kv_index larger;
    struct kv_index largest = pair.index;
    uint64_t most = (uint64_t)KV_TABLE_BUCKETS_MAX * 3;
    largest.table.bucket_count = KV_TABLE_BUCKETS_MAX;

    assert_int_equal(kv_index_create_larger(&largest, 1, &pair.log, &larger),
                     KVSTORE_TOO_LARGE);
    assert_null(larger.memory.region);
    assert_int_equal(
        kv_index_create_larger(&pair.index, most, &pair.log, &larger),
        KVSTORE_TOO_LARGE);
    assert_int_equal(
        kv_index_create_larger(&pair.index, UINT64_MAX, &pair.log, &larger),
        KVSTORE_TOO_LARGE);
    close_pair(&pair);
}

static void small_gain_is_not_worth_shrinking(void **state)
{
    struct pair pair = make_empty(*state, 1000, false);
    void *region = pair.index.memory.region;
    put_random(&pair, 700);

    kv_index_shrink(&pair.index, &pair.log);

    assert_ptr_equal(pair.index.memory.region, region);
    close_pair(&pair);
}

/* --- Calls that fail --- */

/* Fails one call of those that take room, by its number. */
static struct kv_io_table failing_table;
static unsigned calls_left;
static unsigned preads;

static bool fails(int number)
{
    errno = number;
    return calls_left-- == 1;
}

static void *failing_malloc(size_t size)
{
    return fails(ENOMEM) ? NULL : kv_io_system_table()->malloc(size);
}

static int failing_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    return fails(ENOSPC)
               ? -1
               : kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static ssize_t failing_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return fails(ENOSPC) ? -1
                         : kv_io_system_table()->pwrite(fd, bytes, size, at);
}

static int failing_allocate(int fd, off_t size)
{
    return fails(ENOSPC) ? -1 : kv_io_system_table()->allocate_blocks(fd, size);
}

static void *failing_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    return fails(ENOMEM)
               ? MAP_FAILED
               : kv_io_system_table()->mmap(size, is_writable, fd, offset);
}

static int failing_populate(void *memory, size_t size)
{
    return fails(EFAULT) ? -1 : kv_io_system_table()->populate(memory, size);
}

static ssize_t noted_pread(int fd, void *buffer, size_t size, off_t offset)
{
    preads++;
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static void fail_call(unsigned number)
{
    failing_table = *kv_io_system_table();
    failing_table.malloc = failing_malloc;
    failing_table.openat = failing_openat;
    failing_table.pwrite = failing_pwrite;
    failing_table.allocate_blocks = failing_allocate;
    failing_table.mmap = failing_mmap;
    failing_table.populate = failing_populate;
    failing_table.pread = noted_pread;
    calls_left = number;
    preads = 0;
    kv_io_swap_table(&failing_table);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(unsigned *)context;
}

static unsigned count_temporary(const struct store_dir *dir)
{
    unsigned count = 0;
    assert_int_equal(
        kv_io_list(
            &dir->directory, KV_INDEX_NAME ".", ".tmp", count_name, &count),
        KVSTORE_OK);
    return count;
}

/* Slots that go on past their bucket's end, and all the others, stay in the
 * window as it moves: only those around the table's end are put aside. */
static void copy_in_order_needs_only_its_window(void **state)
{
    struct pair pair = make_empty(*state, 2660, false);
    assert_in_range(pair.index.table.bucket_count, 990, 1010);
    for (uint64_t part = 0; part < 1016; part += 4) {
        put_run(&pair, part, 10);
    }

    fail_call(0);
    kvstore_status status = kv_index_grow(&pair.index, &pair.log);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(0 - calls_left, 2);
    assert_all_found(&pair.index.table);
    close_pair(&pair);
}

/* Grows with each of the calls failing in turn; returns how many there were. */
static unsigned fail_each_call(const struct store_dir *dir, struct pair *pair)
{
    uint64_t count = 0;
    uint64_t sum = sum_slots(&pair->index.table, &count);
    struct kv_index before = pair->index;
    unsigned files = count_temporary(dir);
    unsigned number = 1;
    for (;; number++) {
        fail_call(number);
        kvstore_status status = kv_index_grow(&pair->index, &pair->log);
        kv_io_swap_table(kv_io_system_table());
        assert_int_equal(count_temporary(dir), files);
        assert_int_equal(preads, 0);
        assert_same_slots(&pair->index, sum, count);
        if (status == KVSTORE_OK) {
            break;
        }
        assert_true(status == KVSTORE_NO_MEMORY || status == KVSTORE_IO);
        assert_memory_equal(&pair->index, &before, sizeof before);
    }
    assert_true(pair->index.table.bucket_count > before.table.bucket_count);
    return number - 1;
}

/* Also that growth never reads the log, nor any other file. */
static void growth_that_fails_changes_nothing(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 2; i++) {
        struct pair pair = make_empty(dir, 1000, i == 1);
        put_random(&pair, 300);
        put_run(&pair, 1024, 800);

        unsigned calls = fail_each_call(dir, &pair);

        assert_true(calls >= (i == 0 ? 6 : 50));
        close_pair(&pair);
        assert_int_equal(count_temporary(dir), 0);
    }
}

static void shrinking_that_fails_changes_nothing(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_empty(dir, 4000, true);
    put_random(&pair, 500);
    struct kv_index before = pair.index;
    uint64_t count = 0;
    uint64_t sum = sum_slots(&pair.index.table, &count);
    (void)kv_fail(KVSTORE_BUSY, "an older error");
    for (unsigned number = 1; number < 1000; number++) {
        fail_call(number);
        kv_index_shrink(&pair.index, &pair.log);
        kv_io_swap_table(kv_io_system_table());
        assert_int_equal(preads, 0);
        assert_int_equal(count_temporary(dir), 1);
        assert_same_slots(&pair.index, sum, count);
        assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
        if (pair.index.table.bucket_count != before.table.bucket_count) {
            assert_true(number > 5);
            close_pair(&pair);
            return;
        }
        assert_memory_equal(&pair.index, &before, sizeof before);
    }
    fail();
}

/* --- Growing with a log --- */

static void numbered_key(char *key, size_t size, unsigned number)
{
    (void)snprintf(key, size, "k%u", number);
}

/* From the smallest index on. */
static void many_keys_are_all_found(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    char key[16];
    uint64_t *offsets = calloc(MANY_KEYS, sizeof *offsets);
    assert_non_null(offsets);
    for (unsigned i = 0; i < MANY_KEYS; i++) {
        numbered_key(key, sizeof key, i);
        offsets[i] = log_text_set(&text, key, "");
    }
    uint64_t damage = log_text_damaged_set(&text, "k7", "x");
    struct pair pair = make_empty(dir, 0, false);
    store_dir_write_log(dir, &text);

    catch_up(&pair, text.size);

    const struct kv_table_totals *totals = &pair.index.totals;
    assert_int_equal(totals->counts.keys, MANY_KEYS);
    assert_int_equal(totals->slots_used, MANY_KEYS + 1);
    assert_int_equal(totals->damage_slots, 1);
    assert_false(pair.index.is_in_doubt);
    for (unsigned i = 0; i < MANY_KEYS; i++) {
        numbered_key(key, sizeof key, i);
        assert_found(&pair, key, offsets[i], i == 7 ? damage : NOWHERE);
    }
    assert_found(&pair, "k200000", NOWHERE, NOWHERE);
    free(offsets);
    log_text_release(&text);
    close_pair(&pair);
}

/* Makes an index of as many keys as the smallest takes. */
static struct pair make_full_pair(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_empty(dir, 0, false);
    char key[16];
    for (unsigned i = 0; i < KV_TABLE_BUCKETS_MIN * 3; i++) {
        numbered_key(key, sizeof key, i);
        log_text_set(&text, key, "1");
    }
    store_dir_write_log(dir, &text);
    catch_up(&pair, text.size);
    log_text_release(&text);
    assert_int_equal(pair.index.table.bucket_count, KV_TABLE_BUCKETS_MIN);
    assert_false(kv_index_has_room(&pair.index, 1));
    return pair;
}

/* A line, and what it is. */
struct line {
    struct log_text text;
    struct kv_record record;
    struct kv_fold_item item;
};

/* Appends the only line of a text, which is the line's now. */
static struct line append_line(const struct store_dir *dir,
                               struct log_text text)
{
    struct line line = {.text = text};
    uint64_t at = store_dir_file_size(dir, KV_LOG_NAME);
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    assert_int_equal(kv_record_decode(text.bytes, text.size - 1, &line.record),
                     KVSTORE_OK);
    line.item =
        (struct kv_fold_item){.pointer = {.offset = at, .length = text.size},
                              .bytes = text.bytes,
                              .size = text.size - 1,
                              .type = line.record.type};
    return line;
}

static void release_line(struct line *line)
{
    kv_record_release(&line->record);
    log_text_release(&line->text);
}

static struct log_text set_text(const char *key, const char *value)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, key, value);
    return text;
}

/* Appends a Set, and applies it. */
static kvstore_status try_to_set(const struct store_dir *dir,
                                 struct pair *pair,
                                 const char *key)
{
    struct line line = append_line(dir, set_text(key, "2"));
    line.item.record = &line.record;
    kvstore_status status = apply_line(pair, &line.item);
    if (status != KVSTORE_OK) {
        store_dir_truncate(dir, KV_LOG_NAME, line.item.pointer.offset);
    }
    release_line(&line);
    return status;
}

/* The samples of the log meet a hole, and no line: so the index begins small, and
 * grows while many of its slots are on their way. */
static void many_keys_after_a_hole_are_found(void **state)
{
    const uint64_t hole = (uint64_t)256 << 20;
    const struct store_dir *dir = *state;
    const unsigned count = 120000;
    struct log_text text = LOG_TEXT_EMPTY;
    char key[16];
    log_text_set(&text, "first", "1");
    store_dir_write_log(dir, &text);
    store_dir_truncate(dir, KV_LOG_NAME, text.size + hole);
    log_text_release(&text);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        log_text_set(&text, key, "");
    }
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);

    struct pair pair = open_pair(dir);

    assert_int_equal(pair.index.totals.counts.keys, count + 1);
    assert_int_equal(pair.index.totals.slots_used, count + 1);
    for (unsigned i = 0; i < count; i += 997) {
        struct kv_index_find find;
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(
            kv_index_find(&pair.index, &pair.log, key, strlen(key), &find),
            KVSTORE_OK);
        assert_true(find.is_found);
        kv_index_find_release(&find);
    }
    close_pair(&pair);
}

static void room_is_made_for_a_new_key_alone(void **state)
{
    struct pair pair = make_full_pair(*state);
    uint64_t buckets = pair.index.table.bucket_count;

    assert_int_equal(try_to_set(*state, &pair, "k5"), KVSTORE_OK);
    assert_int_equal(pair.index.table.bucket_count, buckets);
    uint64_t at = pair.index.totals.applied;
    assert_int_equal(try_to_set(*state, &pair, "new"), KVSTORE_OK);
    assert_int_equal(pair.index.table.bucket_count, buckets * 3 / 2);

    assert_found(&pair, "new", at, NOWHERE);
    assert_found(&pair, "k0", 0, NOWHERE);
    assert_int_equal(pair.index.totals.slots_used, 193);
    close_pair(&pair);
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void room_that_cannot_be_had_changes_nothing(void **state)
{
    struct pair pair = make_full_pair(*state);
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = no_malloc;
    struct kv_index before = pair.index;

    kv_io_swap_table(&table);
    kvstore_status status = try_to_set(*state, &pair, "new");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_NO_MEMORY);
    assert_memory_equal(&pair.index, &before, sizeof before);
    close_pair(&pair);
}

/* Readers may be at it: it cannot just be exchanged. */
static void full_index_in_use_takes_no_new_key(void **state)
{
    struct pair pair = make_full_pair(*state);
    kv_index_begin_use(&pair.index);
    uint64_t size = pair.index.totals.applied;
    void *region = pair.index.memory.region;

    assert_int_equal(try_to_set(*state, &pair, "new"), KVSTORE_TOO_LARGE);
    assert_int_equal(pair.index.totals.applied, size);
    assert_found(&pair, "new", NOWHERE, NOWHERE);
    assert_int_equal(try_to_set(*state, &pair, "k5"), KVSTORE_OK);

    assert_ptr_equal(pair.index.memory.region, region);
    close_pair(&pair);
}

static void larger_index_has_the_same_in_it(void **state)
{
    struct pair pair = make_full_pair(*state);
    struct pair larger = {.log = pair.log};

    assert_int_equal(
        kv_index_create_larger(&pair.index, 1, &pair.log, &larger.index),
        KVSTORE_OK);

    assert_memory_equal(
        &larger.index.totals, &pair.index.totals, sizeof larger.index.totals);
    for (unsigned i = 0; i < KV_TABLE_BUCKETS_MIN * 3; i++) {
        char key[16];
        numbered_key(key, sizeof key, i);
        struct kv_index_find find;
        assert_int_equal(
            kv_index_find(&pair.index, &pair.log, key, strlen(key), &find),
            KVSTORE_OK);
        assert_true(find.is_found);
        assert_found(&larger, key, find.pointer.offset, NOWHERE);
        kv_index_find_release(&find);
    }
    assert_true(matches(&larger));
    kv_index_release(&larger.index);
    close_pair(&pair);
}

/* At most as many as the lines can add, and exactly that many where they might
 * not have room. */
static void more_keys_are_counted(void **state)
{
    struct pair pair = make_full_pair(*state);
    uint64_t more = 0;
    uint64_t size = pair.index.totals.applied;
    assert_int_equal(kv_build_count_more(&pair.log, size, &pair.index, &more),
                     KVSTORE_OK);
    assert_int_equal(more, 0);
    struct line line = append_line(*state, set_text("k5", "2"));
    size += line.text.size;
    assert_int_equal(kv_build_count_more(&pair.log, size, &pair.index, &more),
                     KVSTORE_OK);
    assert_int_equal(more, 1);
    assert_int_equal(kv_index_grow(&pair.index, &pair.log), KVSTORE_OK);
    assert_int_equal(kv_build_count_more(&pair.log, size, &pair.index, &more),
                     KVSTORE_OK);
    assert_true(more >= 1 && kv_index_has_room(&pair.index, more));
    release_line(&line);
    close_pair(&pair);
}

/* What was read before the damage is applied, though it waits for memory. */
static void catching_up_stops_before_damage(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    bool is_whole = true;
    size_t first = log_text_set(&text, "a", "1");
    size_t damage = log_text_damaged_set(&text, "b", "1");
    log_text_set(&text, "c", "1");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);

    assert_int_equal(
        kv_build_catch_up(
            &pair.log, text.size, NULL, true, &pair.index, &is_whole),
        KVSTORE_OK);

    assert_false(is_whole);
    assert_int_equal(pair.index.totals.applied, damage);
    assert_int_equal(pair.index.totals.counts.damaged_records, 0);
    assert_found(&pair, "a", first, NOWHERE);
    assert_found(&pair, "b", NOWHERE, NOWHERE);
    catch_up(&pair, text.size);
    assert_int_equal(pair.index.totals.counts.damaged_records, 1);
    log_text_release(&text);
    close_pair(&pair);
}

/* --- Sharing --- */

static void index_in_use_publishes_what_it_applies(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    kv_index_begin_use(&pair.index);
    struct kv_index other = pair.index;
    log_text_set(&text, "b", "1");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    catch_up(&pair, store_dir_file_size(*state, KV_LOG_NAME));

    assert_true(kv_index_refresh(&other));

    assert_memory_equal(&other.totals, &pair.index.totals, sizeof other.totals);
    assert_int_equal(other.totals.counts.keys, 2);
    log_text_release(&text);
    close_pair(&pair);
}

/* Each word of the totals that its sums depend on; and what the word says that
 * a writer was at. */
static void totals_that_are_not_whole_are_refused(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    struct kv_table_header *header = pair.index.table.header;
    kv_index_begin_use(&pair.index);
    assert_true(kv_index_refresh(&pair.index));

    header->totals[0] ^= 1;
    assert_false(kv_index_refresh(&pair.index));
    assert_true(pair.index.is_in_doubt);
    header->totals[0] ^= 1;
    assert_true(kv_index_refresh(&pair.index));
    assert_false(pair.index.is_in_doubt);
    kv_table_set_writing(&pair.index.table, KV_TABLE_PUBLISHING);
    assert_false(kv_index_refresh(&pair.index));
    kv_table_set_writing(&pair.index.table, KV_TABLE_AT_REST);
    assert_true(kv_index_refresh(&pair.index));
    close_pair(&pair);
}

static void line_applied_twice_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    struct kv_table_totals before = pair.index.totals;
    log_text_set(&text, "a", "2");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    uint64_t size = store_dir_file_size(*state, KV_LOG_NAME);
    catch_up(&pair, size);
    assert_false(pair.index.is_in_doubt);
    pair.index.totals = before;

    catch_up(&pair, size);

    assert_true(pair.index.is_in_doubt);
    assert_found(&pair, "a", text.size, NOWHERE);
    log_text_release(&text);
    close_pair(&pair);
}

/* --- Publishing --- */

static struct kv_io_table stepping_table;
static struct pair *stepped;
static char steps[512];

/* What a reader may rely on after each step. */
static void look(const char *name)
{
    const struct kv_table *table = &stepped->index.table;
    uint64_t end = table->header->end;
    uint64_t applied = table->header->totals[0];
    struct kv_table_totals totals;
    size_t used = strlen(steps);
    (void)snprintf(steps + used, sizeof steps - used, "%s;", name);
    bool is_publishing = kv_table_writing(table) == KV_TABLE_PUBLISHING;
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        struct kv_table_slot slot = kv_table_load(table, i);
        struct kv_table_entry entry = kv_table_entry_of(slot);
        uint64_t to = entry.pointer.offset + entry.pointer.length;
        if (slot.tag != 0) {
            assert_true(to <= end);
            assert_true(to <= applied || is_publishing);
            assert_true(entry.kind != KV_TABLE_DAMAGE ||
                        table->header->has_damage != 0);
        }
    }
    assert_true(is_publishing || applied == end);
    if (end == applied) {
        assert_true(kv_table_load_totals(table, &totals));
        assert_true(kv_table_totals_add_up(table, &totals));
    }
}

/* Appends a line, publishes it up to an end that is so far past it, and
 * compares the steps. */
static void assert_steps(const struct store_dir *dir,
                         struct pair *pair,
                         struct log_text text,
                         uint64_t further,
                         const char *expected)
{
    struct line line = append_line(dir, text);
    line.item.record = &line.record;
    uint64_t end = line.item.pointer.offset + line.text.size;
    stepping_table = *kv_io_system_table();
    stepping_table.step = look;
    stepped = pair;
    steps[0] = '\0';
    kv_io_swap_table(&stepping_table);

    kv_index_begin_publishing(&pair->index, end + further);
    assert_int_equal(apply_line(pair, &line.item), KVSTORE_OK);
    kv_index_end_publishing(&pair->index, true);

    kv_io_swap_table(kv_io_system_table());
    assert_string_equal(steps, expected);
    release_line(&line);
}

static void records_are_published_in_order(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    kv_index_begin_use(&pair.index);
    kv_table_set_writing(&pair.index.table, KV_TABLE_AT_REST);

    assert_steps(*state,
                 &pair,
                 set_text("a", "1"),
                 0,
                 "writing;end;pointer;slot;half totals;totals;writing;");
    assert_int_equal(kv_table_writing(&pair.index.table), KV_TABLE_AT_REST);
    assert_steps(*state,
                 &pair,
                 set_text("a", "2"),
                 0,
                 "writing;end;slot;half totals;totals;writing;");
    assert_steps(*state,
                 &pair,
                 set_text("b", "2"),
                 1,
                 "writing;end;pointer;slot;half totals;totals;end;writing;");
    log_text_unknown(&text, "b");
    assert_steps(*state,
                 &pair,
                 text,
                 0,
                 "writing;end;has damage;pointer;slot;half totals;totals;"
                 "writing;");
    assert_int_equal(pair.index.table.header->has_damage, 1);
    close_pair(&pair);
}

static void log_that_goes_on_is_left_appending(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    kv_index_begin_use(&pair.index);

    kv_index_begin_publishing(&pair.index, 0);
    assert_int_equal(kv_table_writing(&pair.index.table), KV_TABLE_PUBLISHING);
    kv_index_end_publishing(&pair.index, false);

    assert_int_equal(kv_table_writing(&pair.index.table), KV_TABLE_APPENDING);
    close_pair(&pair);
}

/* As a writer leaves one that has died. */
static void index_in_doubt_is_left_publishing(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    kv_index_begin_use(&pair.index);

    kv_index_begin_publishing(&pair.index, 0);
    pair.index.is_in_doubt = true;
    kv_index_end_publishing(&pair.index, true);

    assert_int_equal(kv_table_writing(&pair.index.table), KV_TABLE_PUBLISHING);
    assert_false(kv_index_refresh(&pair.index));
    close_pair(&pair);
}

/* Nobody sees it. */
static void index_that_is_built_publishes_nothing(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    kv_index_begin_publishing(&pair.index, 1000);
    assert_int_equal(pair.index.table.header->end, 0);
    assert_int_equal(try_to_set(*state, &pair, "a"), KVSTORE_OK);
    kv_index_end_publishing(&pair.index, true);
    assert_int_equal(kv_table_writing(&pair.index.table), KV_TABLE_APPENDING);
    assert_int_equal(pair.index.table.header->totals[0], 0);

    kv_index_begin_use(&pair.index);

    struct kv_table_totals totals;
    assert_true(kv_table_load_totals(&pair.index.table, &totals));
    assert_int_equal(totals.applied, pair.index.totals.applied);
    close_pair(&pair);
}

static void slot_beyond_the_end_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    atomic_store(&pair.index.table.header->end, at);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_false(find.is_found);
    assert_int_equal(find.doubt_offset, at);
    kv_index_find_release(&find);
    close_pair(&pair);
}

/* Finds the target of the last line of a text, appends it, and applies it. */
static void write_line(const struct store_dir *dir,
                       struct pair *pair,
                       const struct log_text *text,
                       size_t at,
                       const char *key)
{
    struct kv_index_target target = {.has_older = false};
    struct log_text copy = LOG_TEXT_EMPTY;
    assert_int_equal(kv_index_find_target(
                         &pair->index, &pair->log, key, strlen(key), &target),
                     KVSTORE_OK);
    log_text_add_bytes(&copy, text->bytes + at, text->size - at);
    struct line line = append_line(dir, copy);
    line.item.record = &line.record;

    kv_index_apply_target(&pair->index, &pair->log, &line.item, &target);

    release_line(&line);
}

static void applying_to_targets_equals_folding(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    char value[6000] = "";
    size_t a = log_text_set(&text, "a", "1");
    write_line(dir, &pair, &text, a, "a");
    a = log_text_set(&text, "a", "2");
    write_line(dir, &pair, &text, a, "a");
    size_t b = log_text_set(&text, "b", "1");
    write_line(dir, &pair, &text, b, "b");
    b = log_text_remove(&text, "b");
    write_line(dir, &pair, &text, b, "b");
    memset(value, 'v', sizeof value - 1);
    size_t c = log_text_set(&text, "c", value);
    write_line(dir, &pair, &text, c, "c");
    c = log_text_set(&text, "c", value);
    write_line(dir, &pair, &text, c, "c");
    c = log_text_set(&text, "c", "1");
    write_line(dir, &pair, &text, c, "c");

    struct pair folded = open_pair(dir);

    assert_memory_equal(
        &pair.index.totals, &folded.index.totals, sizeof pair.index.totals);
    assert_found(&pair, "a", a, NOWHERE);
    assert_found(&pair, "b", b, NOWHERE);
    log_text_release(&text);
    close_pair(&folded);
    close_pair(&pair);
}

static void slot_offsets_only_grow(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    uint64_t newest = 0;
    for (unsigned i = 0; i < 50; i++) {
        size_t start = text.size;
        size_t at = log_text_set(&text, "a", i % 2 == 0 ? "1" : "23456");
        log_text_set(&text, "b", "1");
        store_dir_append(
            dir, KV_LOG_NAME, text.bytes + start, text.size - start);

        catch_up(&pair, text.size);

        assert_found(&pair, "a", at, NOWHERE);
        assert_true(i == 0 || at > newest);
        newest = at;
    }
    assert_int_equal(pair.index.totals.slots_used, 2);
    log_text_release(&text);
    close_pair(&pair);
}

/* Another index has another secret. */
static void target_begun_for_another_index_is_found(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    struct pair other = open_pair(*state);
    struct kv_table_hash hash = kv_table_hash(&pair.index.table, "a", 1);
    for (int i = 0; i < 3; i++) {
        struct kv_index_target target = {.has_older = false};
        if (i > 0) {
            struct pair *begun = i == 1 ? &other : &pair;
            kv_index_begin_target(&begun->index, "a", 1, &target);
        }

        assert_int_equal(
            kv_index_find_target(&pair.index, &pair.log, "a", 1, &target),
            KVSTORE_OK);

        assert_true(target.has_older);
        assert_int_equal(target.older.pointer.offset, at);
        assert_true(target.hash.tag == hash.tag);
        assert_true(target.hash.check == hash.check);
    }
    close_pair(&other);
    close_pair(&pair);
}

/* Records of one batch, whose targets were found before any of them; the key
 * may have had one. */
static void targets_of_one_batch_may_meet(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 2; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, i == 0 ? "b" : "a", "a value of its own length");
        struct pair pair = make_pair(state, &text);
        struct kv_index_target target = {.has_older = false};
        assert_int_equal(
            kv_index_find_target(&pair.index, &pair.log, "a", 1, &target),
            KVSTORE_OK);
        assert_int_equal(target.has_older, i == 1);
        for (int j = 0; j < 3; j++) {
            struct line line =
                append_line(dir, set_text("a", j == 1 ? "longer" : "1"));
            line.item.record = &line.record;
            kv_index_apply_target(&pair.index, &pair.log, &line.item, &target);
            release_line(&line);
        }

        struct pair folded = open_pair(dir);
        assert_memory_equal(
            &pair.index.totals, &folded.index.totals, sizeof pair.index.totals);
        assert_int_equal(pair.index.totals.slots_used, 2 - i);
        assert_false(pair.index.is_in_doubt);
        close_pair(&folded);
        close_pair(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(copy_keeps_each_slot),
        STORE_TEST(copy_of_an_empty_index_is_empty),
        STORE_TEST(copy_keeps_walks_around_the_end),
        STORE_TEST(copy_keeps_runs_longer_than_its_window),
        STORE_TEST(copy_keeps_several_runs),
        STORE_TEST(copy_keeps_slots_that_are_astray),
        STORE_TEST(copy_leaves_pointers_without_a_tag),
        STORE_TEST(copy_keeps_secret_and_notes),
        STORE_TEST(bytes_a_key_stay_small),
        STORE_TEST(growth_for_many_keys_is_one),
        STORE_TEST(room_is_a_number),
        STORE_TEST(index_at_its_limit_is_too_large),
        STORE_TEST(small_gain_is_not_worth_shrinking),
        STORE_TEST(copy_in_order_needs_only_its_window),
        STORE_TEST(growth_that_fails_changes_nothing),
        STORE_TEST(shrinking_that_fails_changes_nothing),
        STORE_TEST(many_keys_are_all_found),
        STORE_TEST(many_keys_after_a_hole_are_found),
        STORE_TEST(room_is_made_for_a_new_key_alone),
        STORE_TEST(room_that_cannot_be_had_changes_nothing),
        STORE_TEST(full_index_in_use_takes_no_new_key),
        STORE_TEST(larger_index_has_the_same_in_it),
        STORE_TEST(more_keys_are_counted),
        STORE_TEST(catching_up_stops_before_damage),
        STORE_TEST(index_in_use_publishes_what_it_applies),
        STORE_TEST(totals_that_are_not_whole_are_refused),
        STORE_TEST(line_applied_twice_is_in_doubt),
        STORE_TEST(records_are_published_in_order),
        STORE_TEST(log_that_goes_on_is_left_appending),
        STORE_TEST(index_in_doubt_is_left_publishing),
        STORE_TEST(index_that_is_built_publishes_nothing),
        STORE_TEST(slot_beyond_the_end_is_in_doubt),
        STORE_TEST(applying_to_targets_equals_folding),
        STORE_TEST(target_begun_for_another_index_is_found),
        STORE_TEST(targets_of_one_batch_may_meet),
        STORE_TEST(slot_offsets_only_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
