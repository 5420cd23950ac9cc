/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: whatever happens to
 * store.index. It is a cache: nothing that is done to it may lose a record. */

#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOT_PAGE_SIZE 4096

/* Fills with the same bytes in each run. */
static void fill_randomly(char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (char)(seed >> 56);
    }
}

static void overwrite_index(const struct store_dir *dir,
                            uint64_t offset,
                            size_t size,
                            uint64_t seed)
{
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    if (seed != 0) {
        fill_randomly(bytes, size, seed);
    }
    store_dir_overwrite(dir, KV_INDEX_NAME, offset, bytes, size);
    free(bytes);
}

/* --- While a process writes to it that may write the log --- */

/* Maps the index as another process does. */
static struct kv_table map_index(const struct store_dir *dir, void **region_out)
{
    struct kv_table table;
    size_t size = (size_t)store_dir_file_size(dir, KV_INDEX_NAME);
    int fd = open(store_dir_path(dir, KV_INDEX_NAME), O_RDWR);
    assert_true(fd >= 0);
    *region_out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*region_out, MAP_FAILED);
    close(fd);
    assert_true(kv_table_attach(*region_out, size, &table));
    return table;
}

/* Points all slots at an offset, and has the log end past it. */
static void lead_all_slots_to(const struct kv_table *table,
                              uint64_t offset,
                              uint64_t end)
{
    uint64_t slot = 0;
    struct kv_table_entry entry;
    for (; kv_table_next_entry(table, &slot, &entry); slot++) {
        uint64_t word = atomic_load(&table->slots[slot]);
        atomic_store(&table->slots[slot], word - entry.offset + offset);
    }
    atomic_store(&table->header->end, end);
}

static void get_one(const kvstore *store, int count)
{
    for (int i = 0; i < count; i++) {
        void *value = NULL;
        size_t size = 0;
        assert_int_equal(kvstore_get(store, "one", 3, &value, &size),
                         KVSTORE_OK);
        assert_int_equal(size, 5);
        kvstore_free(value);
    }
}

/* The log is mapped by then: past its end there is no page. */
static void end_that_is_past_the_log_is_not_believed(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = NULL;
    void *region = NULL;
    make_known(dir);
    assert_int_equal(kvstore_open(dir->path, NULL, &store), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "one", 3, "value", 5), KVSTORE_OK);
    get_one(store, 200);
    struct kv_table table = map_index(dir, &region);
    lead_all_slots_to(&table, 1 << 20, UINT64_C(1) << 41);

    get_one(store, 1);

    munmap(region, (size_t)table.header->region_size);
    kvstore_close(store);
}

/* --- While no handle has it open --- */

/* Takes all places of a key in a nearly empty index. A user who reads the seed
 * and chooses keys that share their hash could do that. */
static void take_all_places(const struct store_dir *dir, const char *key)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table;
    assert_true(kv_table_attach(bytes, size, &table));
    uint64_t hash = kv_table_hash(&table, key, strlen(key));
    struct kv_table_probe probe = kv_table_probe_start(&table, hash);
    struct kv_table_entry entry;
    for (;;) {
        while (kv_table_probe_next(&table, &probe, &entry)) {
        }
        if (!probe.has_place) {
            break;
        }
        /* A slot of another hash, which leads to the first line. */
        atomic_store(&table.slots[probe.slot],
                     UINT64_C(1) | ~probe.hash_bits << 45);
    }
    store_dir_write(dir, KV_INDEX_NAME, bytes, size);
    free(bytes);
}

static void keys_that_share_their_hash_make_no_large_index(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = NULL;
    make_known(dir);
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
    take_all_places(dir, "one more");

    assert_int_equal(kvstore_open(dir->path, NULL, &store), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "one more", 8, "value", 5), KVSTORE_OK);
    kvstore_close(store);

    assert_int_equal(store_dir_file_size(dir, KV_INDEX_NAME), size);
    assert_int_equal(kvstore_open(dir->path, NULL, &store), KVSTORE_OK);
    void *value = NULL;
    size_t value_size = 0;
    assert_int_equal(kvstore_get(store, "one more", 8, &value, &value_size),
                     KVSTORE_OK);
    assert_int_equal(value_size, 5);
    kvstore_free(value);
    kvstore_close(store);
}

static void deleted_index_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);

    remove_index(dir);

    assert_heals(dir);
}

static void other_file_in_its_place_is_not_read(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);

    store_dir_write(dir, KV_INDEX_NAME, "hello\n", 6);

    assert_heals(dir);
}

static void overwritten_index_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t seed = 0; seed < 4; seed++) {
        size_t size = (size_t)store_dir_file_size(dir, KV_INDEX_NAME);

        overwrite_index(dir, 0, size, seed);

        assert_heals(dir);
    }
}

static void overwritten_header_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t seed = 0; seed < 4; seed++) {
        overwrite_index(dir, 0, sizeof(struct kv_table_header), seed);

        assert_heals(dir);
    }
}

/* Sound but for its tag, and all wrong: a process that trusted it would find
 * nothing. */
static void index_of_another_byte_order_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 0;
    make_known(dir);
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table = {.header = (void *)bytes};
    struct kv_table_identity identity = table.header->identity;
    char tag[sizeof table.header->magic];
    memcpy(tag, bytes, sizeof tag);
    for (size_t i = 0; i < sizeof tag; i++) {
        bytes[i] = tag[sizeof tag - 1 - i];
    }
    kv_table_seal(&table, &identity);
    memset(bytes + KV_TABLE_HEADER_SIZE, 0, size - KV_TABLE_HEADER_SIZE);

    store_dir_write(dir, KV_INDEX_NAME, bytes, size);

    assert_heals(dir);
    free(bytes);
    bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    assert_memory_equal(bytes, tag, sizeof tag);
    free(bytes);
}

static void overwritten_totals_are_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t seed = 0; seed < 4; seed++) {
        overwrite_index(dir,
                        offsetof(struct kv_table_header, totals),
                        sizeof((struct kv_table_header *)0)->totals,
                        seed);

        assert_heals(dir);
    }
}

/* An empty slot looks like a key that was never set. But a compaction notices,
 * and so nothing is lost. */
static void emptied_slots_lose_nothing(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    overwrite_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE, 0);
    kvstore *store = open_plain(dir);

    must_compact(store);

    assert_known(store);
    assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
    kvstore_close(store);
    assert_heals(dir);
}

/* Some slots or all of them, read and written before any handle notices. */
static void wild_slots_lose_nothing(void **state)
{
    const struct store_dir *dir = *state;
    char key[32];
    make_known(dir);
    for (uint64_t seed = 1; seed < 9; seed++) {
        uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
        overwrite_index(dir,
                        KV_TABLE_HEADER_SIZE,
                        seed % 2 == 0 ? (size_t)size - KV_TABLE_HEADER_SIZE
                                      : SLOT_PAGE_SIZE,
                        seed);
        kvstore *store = open_plain(dir);
        for (int i = 0; i < KEYS; i++) {
            name_key(key, sizeof key, i);
            kvstore_status status = try_get(store, key);
            assert_true(status == KVSTORE_OK || status == KVSTORE_NOT_FOUND);
        }
        must_set(store, "key-1", "changed");
        must_set(store, "new", "value");
        assert_value(store, "key-1", "changed");
        assert_value(store, "new", "value");
        must_set(store, "key-1", value_of(1));
        must_remove(store, "new");

        must_compact(store);

        assert_known(store);
        kvstore_close(store);
        assert_heals(dir);
    }
}

/* Except the seed: whatever it is, an index without slots looks the same. */
static void wrong_word_in_the_header_is_harmless(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (size_t at = 0; at < offsetof(struct kv_table_header, totals);
         at += 8) {
        for (uint64_t seed = 0;
             seed < 3 && at != offsetof(struct kv_table_header, seed);
             seed++) {
            overwrite_index(dir, at, 8, seed);

            assert_heals(dir);
        }
    }
}

static void wrong_seed_loses_nothing(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    overwrite_index(dir, offsetof(struct kv_table_header, seed), 8, 1);
    kvstore *store = open_plain(dir);

    must_compact(store);

    assert_known(store);
    kvstore_close(store);
    assert_heals(dir);
}

static void index_of_another_store_is_not_read(void **state)
{
    const struct store_dir *dir = *state;
    void *other_state = NULL;
    size_t size = 0;
    assert_int_equal(store_dir_set_up(&other_state), 0);
    const struct store_dir *other = other_state;
    make_known(dir);
    kvstore *store = open_plain(other);
    must_set(store, "key-1", "elsewhere");
    kvstore_close(store);

    char *bytes = store_dir_read(other, KV_INDEX_NAME, &size);
    store_dir_write(dir, KV_INDEX_NAME, bytes, size);

    assert_heals(dir);
    free(bytes);
    assert_int_equal(store_dir_tear_down(&other_state), 0);
}

/* An index from before more was written, and one from before the log was
 * another. */
static void index_from_before_is_brought_up_or_not_read(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 0;
    for (int has_compacted = 0; has_compacted < 2; has_compacted++) {
        kvstore *store = open_plain(dir);
        must_set(store, "key-1", "before");
        kvstore_close(store);
        char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
        store = open_plain(dir);
        write_known(store);
        if (has_compacted != 0) {
            must_compact(store);
        }
        kvstore_close(store);

        store_dir_write(dir, KV_INDEX_NAME, bytes, size);

        assert_heals(dir);
        free(bytes);
    }
}

static void index_cut_short_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
    const uint64_t sizes[] = {size - 1,
                              size - SLOT_PAGE_SIZE,
                              KV_TABLE_HEADER_SIZE,
                              KV_TABLE_HEADER_SIZE - 1,
                              1,
                              0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        store_dir_truncate(dir, KV_INDEX_NAME, sizes[i]);

        assert_heals(dir);
    }
}

/* --- While two handles have it open --- */

struct two {
    const struct store_dir *dir;
    kvstore *one;
    kvstore *other;
};

static struct two open_two(void **state)
{
    struct two two = {.dir = *state};
    make_known(two.dir);
    two.one = open_plain(two.dir);
    two.other = open_plain(two.dir);
    return two;
}

static void close_two(struct two *two)
{
    assert_known(two->one);
    assert_known(two->other);
    assert_int_equal(checked_stats(two->one).keys, KNOWN_KEYS);
    assert_int_equal(checked_stats(two->other).keys, KNOWN_KEYS);
    kvstore_close(two->one);
    kvstore_close(two->other);
    assert_heals(two->dir);
}

static void deletion_is_noticed(void **state)
{
    struct two two = open_two(state);
    remove_index(two.dir);
    rest(20);

    assert_value(two.one, "key-1", value_of(1));

    assert_true(store_dir_has(two.dir, KV_INDEX_NAME));
    assert_in_touch(two.one, two.other);
    close_two(&two);
}

/* Both still use the same index, until they check its name. */
static void deletion_not_noticed_yet_is_harmless(void **state)
{
    struct two two = open_two(state);
    for (int i = 0; i < 3; i++) {
        remove_index(two.dir);

        assert_in_touch(two.one, two.other);
        kvstore *third = open_plain(two.dir);
        assert_in_touch(third, two.one);
        assert_in_touch(two.other, third);
        kvstore_close(third);
        assert_in_touch(two.one, two.other);
    }
    close_two(&two);
}

static void replacement_is_noticed(void **state)
{
    struct two two = open_two(state);
    store_dir_write(two.dir, "file", "hello\n", 6);
    char from[sizeof two.dir->path + 64];
    (void)snprintf(from, sizeof from, "%s", store_dir_path(two.dir, "file"));
    assert_int_equal(rename(from, store_dir_path(two.dir, KV_INDEX_NAME)), 0);
    rest(20);

    assert_in_touch(two.one, two.other);

    close_two(&two);
}

/* Points the only slot of an index at the older of two records. */
static void turn_slot_back(const struct store_dir *dir)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    uint64_t word = 0;
    size_t at = KV_TABLE_HEADER_SIZE;
    while (at < size && word == 0) {
        memcpy(&word, bytes + at, sizeof word);
        at += word == 0 ? sizeof word : 0;
    }
    assert_int_not_equal(word, 0);
    word &= ~((UINT64_C(1) << 44) - 1);
    word |= 1; /* Offset 0. */
    store_dir_overwrite(dir, KV_INDEX_NAME, at, &word, sizeof word);
    free(bytes);
}

static void slot_at_an_older_record_loses_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    must_set(store, "key", "2");
    turn_slot_back(dir);
    assert_value(other, "key", "1");

    must_compact(store);

    assert_value(store, "key", "2");
    assert_value(other, "key", "2");
    kvstore_close(store);
    kvstore_close(other);
}

/* --- Lines that others append --- */

static void new_handle_sees_an_appended_line(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    append_by_hand(dir, "1");

    kvstore *other = open_plain(dir);

    assert_value(other, "hand", "1");
    assert_value(store, "hand", "1");
    kvstore_close(store);
    kvstore_close(other);
}

static void next_write_brings_an_appended_line(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    append_by_hand(dir, "1");

    must_set(store, "key", "2");

    assert_value(store, "hand", "1");
    assert_value(other, "hand", "1");
    assert_value(other, "key", "2");
    assert_int_equal(checked_stats(other).keys, 2);
    kvstore_close(store);
    kvstore_close(other);
}

/* More than the index has room for. */
static void many_appended_lines_are_seen(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    append_many_by_hand(dir);

    must_set(store, "key", "2");

    assert_many(store);
    assert_many(other);
    assert_int_equal(checked_stats(store).keys, MANY_KEYS + 1);
    assert_in_touch(store, other);
    kvstore_close(store);
    kvstore_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(end_that_is_past_the_log_is_not_believed),
        STORE_TEST(keys_that_share_their_hash_make_no_large_index),
        STORE_TEST(deleted_index_is_built_anew),
        STORE_TEST(other_file_in_its_place_is_not_read),
        STORE_TEST(overwritten_index_is_built_anew),
        STORE_TEST(overwritten_header_is_built_anew),
        STORE_TEST(index_of_another_byte_order_is_built_anew),
        STORE_TEST(overwritten_totals_are_built_anew),
        STORE_TEST(emptied_slots_lose_nothing),
        STORE_TEST(wild_slots_lose_nothing),
        STORE_TEST(wrong_word_in_the_header_is_harmless),
        STORE_TEST(wrong_seed_loses_nothing),
        STORE_TEST(index_of_another_store_is_not_read),
        STORE_TEST(index_from_before_is_brought_up_or_not_read),
        STORE_TEST(index_cut_short_is_built_anew),
        STORE_TEST(deletion_is_noticed),
        STORE_TEST(deletion_not_noticed_yet_is_harmless),
        STORE_TEST(replacement_is_noticed),
        STORE_TEST(slot_at_an_older_record_loses_nothing),
        STORE_TEST(new_handle_sees_an_appended_line),
        STORE_TEST(next_write_brings_an_appended_line),
        STORE_TEST(many_appended_lines_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
