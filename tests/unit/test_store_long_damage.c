/* SPDX-License-Identifier: MIT */

/* Does a store do what kvstore.h promises with a damaged line that is too long to
 * be held in memory? Only its first bytes are looked at, which may tell its key;
 * a compaction copies it piece by piece. */

#include "failing_calls.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/cursor.h"
#include "log/log.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG_KEY "key-that-goes-on-past-its-note"
#define HEAD "{\"Set\":{\"key\":\"" LONG_KEY "\",\"val\":\""
/* What is held is doubled until it is more than that. */
#define LINE_SIZE (2 * KV_LOG_HELD_SIZE + 1000)
#define LARGE_SIZE ((size_t)2 << 20)

static struct {
    struct kv_io_table table;
} world;

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

static void no_sleep(int64_t ns)
{
    (void)ns;
}

static int set_up(void **state)
{
    failing_call = 0;
    world.table = *kv_io_system_table();
    world.table.malloc = failing_malloc;
    world.table.pread = failing_pread;
    world.table.pwrite = failing_pwrite;
    world.table.fsync = no_sync;
    world.table.fdatasync = no_sync;
    world.table.sleep_ns = no_sleep;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define LONG_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- A log --- */

static const char first[] = "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n";

/* A long Set without an end, between a record and one with a large value, and a
 * stale one after these. */
static void write_log(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char *value = malloc(LARGE_SIZE + 1);
    assert_non_null(value);
    memset(value, 'v', LARGE_SIZE);
    value[LARGE_SIZE] = '\0';
    log_text_add(&text, first);
    log_text_add(&text, HEAD);
    log_text_fill(&text, 'x', LINE_SIZE);
    log_text_add(&text, "\n");
    log_text_set(&text, "large", value);
    log_text_set(&text, "z", "1");
    log_text_set(&text, "z", "2");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    free(value);
}

static void assert_all_there(const kvstore *store)
{
    void *value = NULL;
    size_t size = 0;
    assert_value(store, "a", "1");
    assert_value(store, "z", "2");
    assert_int_equal(kvstore_get(store, "large", 5, &value, &size), KVSTORE_OK);
    assert_int_equal(size, LARGE_SIZE);
    kvstore_free(value);
    assert_corrupt(store, LONG_KEY, strlen(first));
}

/* --- The tests --- */

static void long_damaged_line_tells_its_key(void **state)
{
    const struct store_dir *dir = *state;
    write_log(dir);
    kvstore *store = open_plain(dir);

    assert_all_there(store);

    must_set(store, LONG_KEY, "healed");
    assert_value(store, LONG_KEY, "healed");
    kvstore_close(store);
}

static kvstore_status go_to_key(kvstore_iterator *iterator,
                                const char *key,
                                const kvstore_entry **entry_out)
{
    kvstore_status status = kvstore_iterator_next(iterator, entry_out);
    if (status == KVSTORE_OK) {
        assert_int_equal((*entry_out)->key_size, strlen(key));
        assert_memory_equal((*entry_out)->key, key, strlen(key));
    }
    return status;
}

/* As all others, it can be asked for again after a failure. */
static void iterator_tells_that_key_too(void **state)
{
    const struct store_dir *dir = *state;
    const kvstore_range range = {.keys_only = true};
    const kvstore_entry *entry = NULL;
    kvstore_iterator *iterator = NULL;
    write_log(dir);
    kvstore *store = open_plain(dir);
    assert_int_equal(kvstore_iterator_create(store, &range, &iterator),
                     KVSTORE_OK);
    assert_int_equal(go_to_key(iterator, "a", &entry), KVSTORE_OK);
    kvstore_status status = KVSTORE_OK;
    for (int n = 1; status != KVSTORE_OK || n == 1; n++) {
        failing_call = n;
        status = go_to_key(iterator, LONG_KEY, &entry);
        if (status != KVSTORE_OK) {
            assert_true(n < 20);
            assert_null(entry);
            assert_true(status == KVSTORE_IO || status == KVSTORE_NO_MEMORY);
        }
    }
    failing_call = 0;
    assert_int_equal(entry->status, KVSTORE_CORRUPT);
    assert_int_equal(kvstore_last_error()->offset, strlen(first));
    assert_int_equal(go_to_key(iterator, "large", &entry), KVSTORE_OK);
    assert_int_equal(go_to_key(iterator, "z", &entry), KVSTORE_OK);
    assert_int_equal(go_to_key(iterator, "", &entry), KVSTORE_NOT_FOUND);
    kvstore_iterator_free(iterator);
    kvstore_close(store);
}

/* By then the line's first bytes tell another key, or none. */
static void long_line_that_changes_is_told_as_changed(void **state)
{
    static const char *const changes[] = {"{\"Set\":{\"key\":\"kex", "-"};
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const kvstore_entry *entry = NULL;
        kvstore_iterator *iterator = NULL;
        write_log(dir);
        kvstore *store = open_plain(dir);
        assert_int_equal(kvstore_iterator_create(store, NULL, &iterator),
                         KVSTORE_OK);
        store_dir_overwrite(
            dir, KV_LOG_NAME, strlen(first), changes[i], strlen(changes[i]));
        assert_int_equal(go_to_key(iterator, "a", &entry), KVSTORE_OK);

        assert_int_equal(go_to_key(iterator, LONG_KEY, &entry),
                         KVSTORE_CORRUPT);

        assert_int_equal(kvstore_last_error()->offset, strlen(first));
        assert_int_equal(go_to_key(iterator, "large", &entry), KVSTORE_OK);
        kvstore_iterator_free(iterator);
        kvstore_close(store);
        remove_index(dir);
    }
}

/* Whichever of its first calls fails, or of some of the others, the store is as
 * before; and when none does, the line is copied as it is. */
#define FIRST_CALLS 60
#define FURTHER_STEP 31
static void compaction_copies_it_or_fails(void **state)
{
    const struct store_dir *dir = *state;
    write_log(dir);
    kvstore *store = open_plain(dir);
    kvstore_stats before = checked_stats(store);
    int failed = 0;
    bool has_fired = true;
    for (int n = 1; has_fired; n += n < FIRST_CALLS ? 1 : FURTHER_STEP) {
        failing_call = n;
        kvstore_status status = kvstore_compact(store);
        has_fired = failing_call == 0;
        failing_call = 0;
        assert_true(status == KVSTORE_OK || has_fired);
        failed += status != KVSTORE_OK ? 1 : 0;
        assert_value(store, "a", "1");
        assert_value(store, "z", "2");
    }
    assert_true(failed > 5);

    kvstore_stats after = checked_stats(store);
    assert_int_equal(after.damaged_bytes, before.damaged_bytes);
    assert_true(after.log_bytes < before.log_bytes);
    assert_all_there(store);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_CORRUPT);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LONG_TEST(long_damaged_line_tells_its_key),
        LONG_TEST(iterator_tells_that_key_too),
        LONG_TEST(long_line_that_changes_is_told_as_changed),
        LONG_TEST(compaction_copies_it_or_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
