/* SPDX-License-Identifier: MIT */

/* Does an iterator do what kvstore.h promises where another program changes the
 * log under it? It has noted the first bytes of each key, and reads the rest of
 * the line again: what is there by then must be that line still. */

#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG_KEY "key-that-goes-on-past-its-note"
#define FIRST "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
#define LAST "{\"Set\":{\"key\":\"z\",\"val\":\"3\"}}\n"

static struct {
    struct kv_io_table table;
    int fails_in;   /* This many allocations from now. */
    void *large[8]; /* Large allocations that were not freed yet. */
} world;
#define LARGE_MAX (sizeof world.large / sizeof *world.large)

static void *counted_malloc(size_t size)
{
    if (world.fails_in > 0 && --world.fails_in == 0) {
        return NULL;
    }
    void *memory = kv_io_system_table()->malloc(size);
    for (size_t i = 0; i < LARGE_MAX && size > (size_t)1 << 20; i++) {
        if (world.large[i] == NULL) {
            world.large[i] = memory;
            break;
        }
    }
    return memory;
}

static size_t count_large(void)
{
    size_t count = 0;
    for (size_t i = 0; i < LARGE_MAX; i++) {
        count += world.large[i] != NULL ? 1 : 0;
    }
    return count;
}

static void watched_free(void *memory)
{
    for (size_t i = 0; i < LARGE_MAX && memory != NULL; i++) {
        if (world.large[i] == memory) {
            world.large[i] = NULL;
        }
    }
    kv_io_system_table()->free(memory);
}

static int set_up(void **state)
{
    int result = store_dir_set_up(state);
    memset(&world, 0, sizeof world);
    world.table = *kv_io_system_table();
    world.table.malloc = counted_malloc;
    world.table.free = watched_free;
    kv_io_swap_table(&world.table);
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define CHANGE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- A line between two others --- */

/* The line, filled up with blanks, since a change keeps its length. */
static void write_line(const struct store_dir *dir,
                       const char *line,
                       size_t size,
                       bool is_first_time)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    assert_true(strlen(line) < size);
    memset(bytes, ' ', size);
    memcpy(bytes, line, strlen(line));
    bytes[size - 1] = '\n';
    if (is_first_time) {
        store_dir_append(dir, KV_LOG_NAME, bytes, size);
    } else {
        store_dir_overwrite(dir, KV_LOG_NAME, strlen(FIRST), bytes, size);
    }
    free(bytes);
}

#define LINE_SIZE ((size_t)200)

static kvstore *open_with_line(const struct store_dir *dir,
                               const char *line,
                               size_t size)
{
    store_dir_write(dir, KV_LOG_NAME, FIRST, strlen(FIRST));
    write_line(dir, line, size, true);
    store_dir_append(dir, KV_LOG_NAME, LAST, strlen(LAST));
    return open_plain(dir);
}

static kvstore_iterator *begin(const kvstore *store, bool is_keys_only)
{
    kvstore_iterator *iterator = NULL;
    const kvstore_range range = {.keys_only = is_keys_only};
    assert_int_equal(kvstore_iterator_create(store, &range, &iterator),
                     KVSTORE_OK);
    return iterator;
}

static const kvstore_entry *must_go_on(kvstore_iterator *iterator,
                                       const char *key)
{
    const kvstore_entry *entry = NULL;
    assert_int_equal(kvstore_iterator_next(iterator, &entry), KVSTORE_OK);
    assert_non_null(entry);
    assert_int_equal(entry->key_size, strlen(key));
    assert_memory_equal(entry->key, key, entry->key_size);
    return entry;
}

static void assert_at_end(kvstore_iterator *iterator)
{
    const kvstore_entry *entry = NULL;
    assert_int_equal(kvstore_iterator_next(iterator, &entry),
                     KVSTORE_NOT_FOUND);
    kvstore_iterator_free(iterator);
}

/* The changed line is told once, by its place, and the keys beside it come. */
static void assert_told_as_changed(kvstore_iterator *iterator)
{
    const kvstore_entry *entry = NULL;
    (void)must_go_on(iterator, "a");

    assert_int_equal(kvstore_iterator_next(iterator, &entry), KVSTORE_CORRUPT);

    assert_null(entry);
    assert_int_equal(kvstore_last_error()->offset, strlen(FIRST));
    assert_non_null(strstr(kvstore_last_error()->message, "was changed"));
    (void)must_go_on(iterator, "z");
    assert_at_end(iterator);
}

struct change {
    const char *before;
    const char *after;
};

static void assert_changes_are_told(const struct store_dir *dir,
                                    const struct change *changes,
                                    size_t count,
                                    bool is_keys_only)
{
    for (size_t i = 0; i < count; i++) {
        kvstore *store = open_with_line(dir, changes[i].before, LINE_SIZE);
        kvstore_iterator *iterator = begin(store, is_keys_only);
        write_line(dir, changes[i].after, LINE_SIZE, false);

        assert_told_as_changed(iterator);

        kvstore_close(store);
        remove_index(dir);
    }
}

#define SET_OF(key) "{\"Set\":{\"key\":\"" key "\",\"val\":\"2\"}}"
#define FOREIGN_SET_OF(key) "{ \"Set\":{\"key\":\"" key "\",\"val\":\"2\"}}"

static void line_of_another_key_is_not_served(void **state)
{
    static const struct change changes[] = {
        {SET_OF("key"), ""},
        {SET_OF("key"), SET_OF("kex")},
        {SET_OF("key"), SET_OF("k")},
        {SET_OF("key"), FOREIGN_SET_OF("kex")},
        {SET_OF("key"), "{\"Set\":{\"key\":\"\",\"val\":\"2\"}}"},
        {SET_OF("key"), "what no program of ours writes"},
        {SET_OF("k\\ty"), SET_OF("k\\tx")},
        {SET_OF(LONG_KEY "1"), SET_OF("other-" LONG_KEY)},
    };
    assert_changes_are_told(
        *state, changes, sizeof changes / sizeof *changes, false);
}

/* The key goes on past its note: it must be read again. */
static void key_that_is_another_by_now_is_not_told(void **state)
{
    static const struct change changes[] = {
        {SET_OF(LONG_KEY), ""},
        {SET_OF(LONG_KEY), SET_OF("b")},
        {SET_OF(LONG_KEY), SET_OF("other-" LONG_KEY)},
        {SET_OF(LONG_KEY), "{\"Set\":{\"key\":\"\",\"val\":\"2\"}}"},
        {FOREIGN_SET_OF(LONG_KEY), ""},
        {FOREIGN_SET_OF(LONG_KEY), FOREIGN_SET_OF("b")},
        {FOREIGN_SET_OF(LONG_KEY), "{\"Set\":{\"val\":\"2\"}}"},
        {FOREIGN_SET_OF(LONG_KEY), "{ \"Set\":{\"key\":\"\",\"val\":\"2\"}}"},
    };
    assert_changes_are_told(
        *state, changes, sizeof changes / sizeof *changes, true);
}

/* No key of ours is so long, but a line of another program may tell one. */
static void key_that_is_too_long_by_now_is_not_told(void **state)
{
    const struct store_dir *dir = *state;
    const size_t key_size = (size_t)KVSTORE_KEY_SIZE_MAX + 1;
    size_t size = key_size + 100;
    char *after = malloc(size);
    assert_non_null(after);
    (void)snprintf(after,
                   size,
                   "{ \"Set\":{\"key\":\"%*s\",\"val\":\"2\"}}",
                   (int)key_size,
                   "x");
    const char *const before[] = {SET_OF("key"), FOREIGN_SET_OF(LONG_KEY)};
    for (int i = 0; i < 2; i++) {
        kvstore *store = open_with_line(dir, before[i], size);
        kvstore_iterator *iterator = begin(store, i == 1);
        write_line(dir, after, size, false);

        assert_told_as_changed(iterator);

        kvstore_close(store);
        remove_index(dir);
    }
    free(after);
}

/* The last line of two whose keys begin alike is replaced, or the log ends within
 * it. */
static void last_key_of_two_is_checked_too(void **state)
{
    static const char first[] = SET_OF("key-1" LONG_KEY) "\n";
    static const char second[] = SET_OF("key-2" LONG_KEY) "\n";
    static const char *const keys[] = {"kex-2", "k", "", "cut"};
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char after[sizeof second];
        const kvstore_entry *entry = NULL;
        store_dir_write(dir, KV_LOG_NAME, first, strlen(first));
        store_dir_append(dir, KV_LOG_NAME, second, strlen(second));
        kvstore *store = open_plain(dir);
        kvstore_iterator *iterator = begin(store, true);
        memset(after, ' ', sizeof after);
        if (keys[i][0] == 'k') {
            (void)snprintf(after, sizeof after, SET_OF("%s"), keys[i]);
        }
        store_dir_overwrite(
            dir, KV_LOG_NAME, strlen(first), after, strlen(second));
        if (keys[i][0] == 'c') {
            store_dir_truncate(dir, KV_LOG_NAME, strlen(first) + 30);
        }
        (void)must_go_on(iterator, "key-1" LONG_KEY);

        assert_int_equal(kvstore_iterator_next(iterator, &entry),
                         KVSTORE_CORRUPT);

        assert_null(entry);
        assert_true(kvstore_last_error()->offset >= strlen(first));
        assert_at_end(iterator);
        kvstore_close(store);
        remove_index(dir);
    }
}

/* As a get says it: the key is known, and its newest line is damaged. */
static void line_that_has_rotted_is_an_entry(void **state)
{
    static const char *const rotten[] = {
        "{\"Remove\":{\"key\":\"key\"}}",
        "{\"Set\":{\"key\":\"key\",\"val\":\"2\",\"sum\":\"00000000\"}}",
    };
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof rotten / sizeof *rotten; i++) {
        kvstore *store = open_with_line(dir, SET_OF("key"), LINE_SIZE);
        kvstore_iterator *iterator = begin(store, false);
        write_line(dir, rotten[i], LINE_SIZE, false);
        (void)must_go_on(iterator, "a");

        const kvstore_entry *entry = must_go_on(iterator, "key");

        assert_int_equal(entry->status, KVSTORE_CORRUPT);
        assert_null(entry->value);
        assert_int_equal(entry->expires_ms, 0);
        assert_int_equal(kvstore_last_error()->offset, strlen(FIRST));
        assert_int_equal(must_go_on(iterator, "z")->status, KVSTORE_OK);
        assert_at_end(iterator);
        kvstore_close(store);
        remove_index(dir);
    }
}

/* --- Memory --- */

static void key_is_asked_for_again_after_a_lack_of_memory(void **state)
{
    const struct store_dir *dir = *state;
    const kvstore_entry *entry = NULL;
    kvstore *store = open_with_line(dir, FOREIGN_SET_OF("key"), LINE_SIZE);
    kvstore_iterator *iterator = begin(store, false);
    (void)must_go_on(iterator, "a");
    world.fails_in = 1;

    assert_int_equal(kvstore_iterator_next(iterator, &entry),
                     KVSTORE_NO_MEMORY);

    assert_null(entry);
    assert_int_equal(must_go_on(iterator, "key")->value_size, 1);
    (void)must_go_on(iterator, "z");
    assert_at_end(iterator);
    kvstore_close(store);
}

/* What a large value took is given back with the next small one. */
static void memory_of_a_large_value_is_not_kept(void **state)
{
    const struct store_dir *dir = *state;
    const size_t size = (size_t)2 << 20;
    char *value = malloc(size);
    assert_non_null(value);
    memset(value, 'v', size);
    kvstore *store = open_plain(dir);
    assert_int_equal(kvstore_set(store, "a", 1, value, size), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "b", 1, value, size), KVSTORE_OK);
    must_set(store, "c", "small");
    must_set(store, "d", "small, too");
    size_t before = count_large();
    kvstore_iterator *iterator = begin(store, false);
    for (int i = 0; i < 2; i++) {
        const kvstore_entry *entry = must_go_on(iterator, i == 0 ? "a" : "b");
        assert_int_equal(entry->value_size, size);
        assert_memory_equal(entry->value, value, size);
        assert_int_equal(count_large(), before + 1);
    }

    assert_string_equal(must_go_on(iterator, "c")->value, "small");

    assert_int_equal(count_large(), before);
    assert_string_equal(must_go_on(iterator, "d")->value, "small, too");
    assert_at_end(iterator);
    kvstore_close(store);
    free(value);
}

/* With keys alone, the time is still told: it is in the line. */
static void key_alone_has_its_expiry(void **state)
{
    const struct store_dir *dir = *state;
    const int64_t expires_ms = INT64_C(4102444800000);
    kvstore *store = open_with_line(
        dir,
        "{\"Set\":{\"key\":\"key\",\"val\":\"2\",\"expires\":4102444800000}}",
        LINE_SIZE);
    kvstore_iterator *iterator = begin(store, true);
    (void)must_go_on(iterator, "a");

    const kvstore_entry *entry = must_go_on(iterator, "key");

    assert_true(entry->expires_ms == expires_ms);
    assert_null(entry->value);
    (void)must_go_on(iterator, "z");
    assert_at_end(iterator);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANGE_TEST(line_of_another_key_is_not_served),
        CHANGE_TEST(key_that_is_another_by_now_is_not_told),
        CHANGE_TEST(key_that_is_too_long_by_now_is_not_told),
        CHANGE_TEST(last_key_of_two_is_checked_too),
        CHANGE_TEST(line_that_has_rotted_is_an_entry),
        CHANGE_TEST(key_is_asked_for_again_after_a_lack_of_memory),
        CHANGE_TEST(memory_of_a_large_value_is_not_kept),
        CHANGE_TEST(key_alone_has_its_expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
