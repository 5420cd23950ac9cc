/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: records that expire, by
 * a clock that jumps. */

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SOON INT64_C(1796000000000)

static struct {
    struct kv_io_table table;
    int64_t now_ms;
    unsigned asked; /* How often, since it was last set. */
} clock_world;

static int64_t told_clock(void)
{
    clock_world.asked++;
    return clock_world.now_ms;
}

static int set_up(void **state)
{
    memset(&clock_world, 0, sizeof clock_world);
    clock_world.now_ms = SOON - 1;
    clock_world.table = *kv_io_system_table();
    clock_world.table.clock_real_ms = told_clock;
    kv_io_swap_table(&clock_world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define EXPIRY_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Opens a store with this log, and releases the text. */
static kvstore *open_text(const struct store_dir *dir, struct log_text *text)
{
    store_dir_write_log(dir, text);
    log_text_release(text);
    return open_plain(dir);
}

struct seen {
    char text[64];
    size_t size;
};

static bool see_key(void *context, const void *key, size_t key_size)
{
    struct seen *seen = context;
    assert_in_range(key_size, 1, sizeof seen->text - seen->size - 2);
    memcpy(seen->text + seen->size, key, key_size);
    seen->size += key_size;
    seen->text[seen->size++] = ' ';
    return true;
}

static void assert_listed(const kvstore *store, const char *expected)
{
    struct seen seen = {.size = 0};
    assert_int_equal(kvstore_list(store, "", 0, see_key, &seen), KVSTORE_OK);
    seen.text[seen.size] = '\0';
    assert_string_equal(seen.text, expected);
}

static void assert_into(const kvstore *store,
                        const char *key,
                        kvstore_status expected)
{
    char buffer[16];
    size_t size = 1;
    assert_int_equal(
        kvstore_get_into(store, key, strlen(key), buffer, sizeof buffer, &size),
        expected);
    assert_int_equal(size, expected == KVSTORE_OK ? 1 : 0);
}

static void assert_in_many(const kvstore *store,
                           const char *key,
                           kvstore_status expected)
{
    kvstore_item items[] = {{.key = "stays", .key_size = 5},
                            {.key = key, .key_size = strlen(key)}};
    assert_int_equal(kvstore_get_many(store, items, 2), KVSTORE_OK);
    assert_int_equal(items[0].status, KVSTORE_OK);
    assert_int_equal(items[1].status, expected);
    assert_int_equal(items[1].value != NULL, expected == KVSTORE_OK);
    kvstore_free(items[0].value);
    kvstore_free(items[1].value);
}

/* --- Answers --- */

static void set_that_has_expired_is_absent_in_every_answer(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "stays", "1");
    log_text_set(&text, "goes", "old");
    log_text_expiring_set(&text, "goes", "2", SOON);
    kvstore *store = open_text(*state, &text);
    static const struct {
        int64_t now_ms;
        bool is_there;
    } moments[] = {
        {SOON - 1, true},
        {SOON, false},
        {SOON - 1, true}, /* A clock that was set back. */
        {INT64_MAX, false},
        {0, true},
        {-1, true},
        {SOON + 1, false},
    };
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        clock_world.now_ms = moments[i].now_ms;
        kvstore_status status =
            moments[i].is_there ? KVSTORE_OK : KVSTORE_NOT_FOUND;
        if (moments[i].is_there) {
            assert_value(store, "goes", "2");
        } else {
            assert_absent(store, "goes");
        }
        assert_into(store, "goes", status);
        assert_in_many(store, "goes", status);
        assert_listed(store, moments[i].is_there ? "goes stays " : "stays ");
        assert_value(store, "stays", "1");
        assert_int_equal(checked_stats(store).keys, 2);
    }
    kvstore_close(store);
}

static void expiry_of_another_layout_counts(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text,
                 "{ \"Set\":{\"expires\":1796000000000,\"val\":\"1\","
                 "\"key\":\"a\"}}\n");
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"b\",\"val\":\"1\",\"batch\":1,"
                 "\"expires\":1796000000001}}\r\n");
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"c\",\"val\":\"1\",\"expires\":"
                 "1796000000001,\"batch\":1}}\n");
    kvstore *store = open_text(*state, &text);

    assert_listed(store, "a b c ");
    clock_world.now_ms = SOON;
    assert_listed(store, "b c ");
    clock_world.now_ms = SOON + 1;
    assert_listed(store, "");
    kvstore_close(store);
}

static void older_value_does_not_come_back(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_expiring_set(&text, "a", "1", SOON + 10);
    log_text_expiring_set(&text, "a", "2", SOON);
    log_text_expiring_set(&text, "b", "1", SOON);
    log_text_expiring_set(&text, "b", "2", SOON + 10);
    log_text_expiring_set(&text, "c", "1", SOON);
    log_text_set(&text, "c", "2");
    kvstore *store = open_text(*state, &text);
    clock_world.now_ms = SOON;

    assert_absent(store, "a");
    assert_value(store, "b", "2");
    assert_value(store, "c", "2");
    assert_listed(store, "b c ");
    kvstore_close(store);
}

/* --- The clock --- */

static void clock_is_asked_once_a_call_and_only_where_it_matters(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "stays", "1");
    log_text_expiring_set(&text, "a", "1", SOON);
    log_text_expiring_set(&text, "b", "1", SOON);
    kvstore *store = open_text(*state, &text);
    /* By the build, for what a compaction would keep; not by the fold. */
    assert_int_equal(clock_world.asked, 1);
    clock_world.asked = 0;

    assert_value(store, "stays", "1");
    assert_absent(store, "never");
    must_set(store, "stays", "2");
    must_set(store, "a", "2");
    must_remove(store, "a");
    (void)checked_stats(store);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
    assert_int_equal(clock_world.asked, 0);
    assert_value(store, "b", "1");
    assert_int_equal(clock_world.asked, 1);
    assert_listed(store, "b stays ");
    assert_int_equal(clock_world.asked, 2);
    must_remove(store, "b");
    assert_int_equal(clock_world.asked, 3);
    kvstore_close(store);
}

static void clock_is_asked_once_by_what_asks_before_it_removes(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_expiring_set(&text, "a", "1", SOON);
    log_text_expiring_set(&text, "b", "1", SOON);
    log_text_expiring_set(&text, "c", "1", SOON);
    log_text_expiring_set(&text, "d", "1", SOON);
    kvstore *store = open_text(*state, &text);
    void *value = NULL;
    size_t size = 0;
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    assert_int_equal(
        kvstore_batch_require(batch, "c", 1, KVSTORE_IF_VALUE, "1", 1),
        KVSTORE_OK);
    assert_int_equal(kvstore_batch_remove(batch, "c", 1), KVSTORE_OK);
    assert_int_equal(kvstore_batch_remove(batch, "d", 1), KVSTORE_OK);

    clock_world.asked = 0;
    assert_int_equal(kvstore_take(store, "a", 1, &value, &size), KVSTORE_OK);
    assert_int_equal(clock_world.asked, 1);
    assert_int_equal(kvstore_remove_if(store, "b", 1, "1", 1), KVSTORE_OK);
    assert_int_equal(clock_world.asked, 2);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    assert_int_equal(clock_world.asked, 3);

    assert_listed(store, "");
    assert_int_equal(checked_stats(store).keys, 0);
    kvstore_free(value);
    kvstore_batch_free(batch);
    kvstore_close(store);
}

static void many_keys_go_by_one_moment(void **state)
{
    enum { COUNT = 200 };
    struct log_text text = LOG_TEXT_EMPTY;
    char keys[COUNT][8];
    kvstore_item items[COUNT] = {{.key = NULL}};
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        log_text_expiring_set(&text, keys[i], "1", SOON + (int64_t)i % 2);
        items[i].key = keys[i];
        items[i].key_size = strlen(keys[i]);
    }
    kvstore *store = open_text(*state, &text);
    clock_world.now_ms = SOON;
    clock_world.asked = 0;

    assert_int_equal(kvstore_get_many(store, items, COUNT), KVSTORE_OK);

    assert_int_equal(clock_world.asked, 1);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].status,
                         i % 2 == 0 ? KVSTORE_NOT_FOUND : KVSTORE_OK);
        kvstore_free(items[i].value);
    }
    kvstore_close(store);
}

/* --- Writes --- */

static void remove_of_what_has_expired_writes_nothing(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    log_text_expiring_set(&text, "a", "1", SOON);
    kvstore *store = open_text(dir, &text);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    clock_world.now_ms = SOON;

    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_NOT_FOUND);

    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    clock_world.now_ms = SOON - 1;
    assert_value(store, "a", "1");
    must_remove(store, "a");
    assert_true(store_dir_file_size(dir, KV_LOG_NAME) > size);
    assert_absent(store, "a");
    kvstore_close(store);
}

static void set_over_what_has_expired_is_there(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_expiring_set(&text, "a", "1", SOON);
    kvstore *store = open_text(*state, &text);
    clock_world.now_ms = SOON;

    must_set(store, "a", "2");

    assert_value(store, "a", "2");
    assert_listed(store, "a ");
    assert_int_equal(checked_stats(store).keys, 1);
    kvstore_close(store);
    store = open_plain(*state);
    assert_value(store, "a", "2");
    must_remove(store, "a");
    assert_absent(store, "a");
    kvstore_close(store);
}

/* --- Damage --- */

static void damage_newer_than_what_has_expired_is_corrupt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_expiring_set(&text, "a", "1", SOON);
    size_t offset = log_text_damaged_set(&text, "a", "2");
    log_text_set(&text, "z", "1");
    kvstore *store = open_text(*state, &text);
    clock_world.now_ms = SOON;

    assert_corrupt(store, "a", offset);
    assert_listed(store, "a z ");
    must_remove(store, "a");
    assert_absent(store, "a");
    kvstore_close(store);
}

static void damage_older_than_what_has_expired_is_past(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "1");
    log_text_expiring_set(&text, "a", "2", SOON);
    kvstore *store = open_text(dir, &text);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    clock_world.now_ms = SOON;

    assert_absent(store, "a");
    assert_listed(store, "");
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_NOT_FOUND);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    clock_world.now_ms = SOON - 1;
    assert_value(store, "a", "2");
    kvstore_close(store);
}

/* Such a line is longer than what is read of one that is damaged, and has no
 * short way. */
static void long_value_is_there_until_it_expires(void **state)
{
    kvstore *store = open_plain(*state);
    const kvstore_set_options options = {.size = sizeof options,
                                         .expires_ms = SOON};
    static char value[(size_t)1 << 20];
    void *found = NULL;
    size_t size = 0;
    memset(value, 'v', sizeof value);
    assert_int_equal(
        kvstore_set_with(store, "a", 1, value, sizeof value, &options),
        KVSTORE_OK);
    must_set(store, "b", "2");

    assert_int_equal(kvstore_get(store, "a", 1, &found, &size), KVSTORE_OK);

    assert_int_equal(size, sizeof value);
    assert_memory_equal(found, value, size);
    kvstore_free(found);
    clock_world.now_ms = SOON;
    assert_absent(store, "a");
    kvstore_close(store);
}

/* What is damaged has no expiry that could be trusted. */
static void damaged_line_does_not_expire(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t offset = log_text_expiring_set(&text, "a", "1", SOON);
    char *digit = strstr(text.bytes + offset, "1796");
    *digit = '0';
    log_text_set(&text, "z", "1");
    kvstore *store = open_text(*state, &text);
    clock_world.now_ms = SOON + 1;

    assert_corrupt(store, "a", offset);
    assert_listed(store, "a z ");
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXPIRY_TEST(set_that_has_expired_is_absent_in_every_answer),
        EXPIRY_TEST(expiry_of_another_layout_counts),
        EXPIRY_TEST(older_value_does_not_come_back),
        EXPIRY_TEST(clock_is_asked_once_a_call_and_only_where_it_matters),
        EXPIRY_TEST(clock_is_asked_once_by_what_asks_before_it_removes),
        EXPIRY_TEST(many_keys_go_by_one_moment),
        EXPIRY_TEST(remove_of_what_has_expired_writes_nothing),
        EXPIRY_TEST(set_over_what_has_expired_is_there),
        EXPIRY_TEST(damage_newer_than_what_has_expired_is_corrupt),
        EXPIRY_TEST(damage_older_than_what_has_expired_is_past),
        EXPIRY_TEST(long_value_is_there_until_it_expires),
        EXPIRY_TEST(damaged_line_does_not_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
