/* SPDX-License-Identifier: MIT */

/* Checks what happens to two keys that share all of the hash that an index has.
 * The table here hashes only the first four bytes of a key, so no index can
 * tell two keys apart that begin alike. The key written last is served; the
 * other one is refused, and never served with what is not its own; one that a
 * compaction leaves out is gone. No other key suffers. */

#include "kvstore.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* They begin alike; others are named by a number first. */
#define OLDER "same older"
#define NEWER "same newer"
#define OTHERS 20

static char path[SCRATCH_PATH_SIZE];
static kvstore *store;

/* --- Calls --- */

static void open_again(void)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    kvstore_close(store);
    assert_int_equal(kvstore_open(path, &options, &store), KVSTORE_OK);
}

static void open_without_index(void)
{
    char name[SCRATCH_PATH_SIZE + 16];
    kvstore_close(store);
    store = NULL;
    (void)snprintf(name, sizeof name, "%s/store.index", path);
    assert_int_equal(unlink(name), 0);
    open_again();
}

static void set(const char *key, const char *value)
{
    assert_int_equal(kvstore_set(store, key, strlen(key), value, strlen(value)),
                     KVSTORE_OK);
}

static kvstore_status rm(const char *key)
{
    return kvstore_remove(store, key, strlen(key));
}

/* Checks the answer to a get, and to one of many: a value, or a status. */
static void check(const char *key, const char *value, kvstore_status status)
{
    void *bytes = NULL;
    size_t size = 0;
    kvstore_item item = {.key = key, .key_size = strlen(key)};
    assert_int_equal(kvstore_get(store, key, strlen(key), &bytes, &size),
                     status);
    assert_int_equal(kvstore_get_many(store, &item, 1), KVSTORE_OK);
    assert_int_equal(item.status, status);
    if (status == KVSTORE_OK) {
        assert_string_equal(bytes, value);
        assert_string_equal(item.value, value);
    }
    kvstore_free(bytes);
    kvstore_free(item.value);
}

static void check_value(const char *key, const char *value)
{
    check(key, value, KVSTORE_OK);
}

static void check_status(const char *key, kvstore_status status)
{
    check(key, NULL, status);
}

static bool join_key(void *context, const void *key, size_t size)
{
    char *keys = context;
    size_t used = strlen(keys);
    (void)snprintf(keys + used, 256 - used, "%.*s,", (int)size, (char *)key);
    return true;
}

/* A list is made of the log alone. */
static void check_list(const char *keys)
{
    char listed[256] = "";
    assert_int_equal(kvstore_list(store, "same", 4, join_key, listed),
                     KVSTORE_OK);
    assert_string_equal(listed, keys);
}

static bool note_damage(void *context, const kvstore_damage *damage)
{
    int *kinds = context;
    *kinds |= 1 << damage->kind;
    return true;
}

/* Returns what a verification finds, a bit for each kind of damage. */
static int verify(void)
{
    int kinds = 0;
    kvstore_status status = kvstore_verify(store, note_damage, &kinds);
    assert_int_equal(status, kinds == 0 ? KVSTORE_OK : KVSTORE_CORRUPT);
    return kinds;
}

/* --- Others --- */

static void set_others(void)
{
    for (int i = 0; i < OTHERS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%04d", i);
        set(key, key);
    }
}

static void check_others(void)
{
    for (int i = 0; i < OTHERS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%04d", i);
        check_value(key, key);
    }
}

/* --- The tests --- */

static void second_key_takes_the_slot_and_the_first_is_refused(void **state)
{
    (void)state;
    set_others();
    set(OLDER, "1");
    check_value(OLDER, "1");

    set(NEWER, "2");

    check_value(NEWER, "2");
    check_status(OLDER, KVSTORE_CORRUPT);
    check_value(NEWER, "2");
    check_list(NEWER "," OLDER ",");
    check_others();
}

static void new_index_cannot_separate_them(void **state)
{
    (void)state;
    set_others();
    set(OLDER, "1");
    set(NEWER, "2");

    open_without_index();

    check_value(NEWER, "2");
    check_status(OLDER, KVSTORE_CORRUPT);
    check_list(NEWER "," OLDER ",");
    check_others();
}

static void first_key_can_take_the_slot_back(void **state)
{
    (void)state;
    set(OLDER, "1");
    set(NEWER, "2");

    set(OLDER, "3");

    check_value(OLDER, "3");
    check_status(NEWER, KVSTORE_CORRUPT);
}

static void absent_key_is_refused_and_not_given_the_others_value(void **state)
{
    (void)state;
    set(NEWER, "2");

    check_status(OLDER, KVSTORE_CORRUPT);
    check_value(NEWER, "2");
}

static void verification_tells_of_the_key_that_is_refused(void **state)
{
    (void)state;
    set_others();
    set(OLDER, "1");
    assert_int_equal(verify(), 0);

    set(NEWER, "2");

    assert_int_equal(verify(), 1 << KVSTORE_DAMAGE_INDEX);
}

static void compaction_gives_the_older_one_up(void **state)
{
    (void)state;
    set_others();
    set(OLDER, "1");
    set(NEWER, "2");

    assert_int_equal(kvstore_compact(store), KVSTORE_OK);

    check_value(NEWER, "2");
    check_status(OLDER, KVSTORE_CORRUPT);
    check_list(NEWER ",");
    check_others();
    assert_int_equal(verify(), 0);
    open_without_index();
    check_value(NEWER, "2");
    check_list(NEWER ",");
    check_others();
}

static void remove_trusts_the_slot_and_removes_its_own_key_only(void **state)
{
    (void)state;
    set(OLDER, "1");
    set(NEWER, "2");

    assert_int_equal(rm(OLDER), KVSTORE_OK);

    check_status(OLDER, KVSTORE_NOT_FOUND);
    check_status(NEWER, KVSTORE_CORRUPT);
    check_list(NEWER ",");
}

static void remove_at_the_others_remove_leaves_the_values_alone(void **state)
{
    (void)state;
    set(OLDER, "1");
    set(NEWER, "2");
    assert_int_equal(rm(NEWER), KVSTORE_OK);
    check_status(NEWER, KVSTORE_NOT_FOUND);
    check_status(OLDER, KVSTORE_CORRUPT);

    assert_int_equal(rm(OLDER), KVSTORE_OK);

    check_status(OLDER, KVSTORE_NOT_FOUND);
    check_list("");
}

static kvstore_status rm_in_batch(const char *key)
{
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, "0001", 4, "0001", 4, 0),
                     KVSTORE_OK);
    assert_int_equal(kvstore_batch_remove(batch, key, strlen(key)), KVSTORE_OK);
    kvstore_status status = kvstore_write(store, batch);
    kvstore_batch_free(batch);
    return status;
}

static kvstore_status take(const char *key)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status =
        kvstore_take(store, key, strlen(key), &value, &size);
    kvstore_free(value);
    return status;
}

static kvstore_status add_one(const char *key)
{
    int64_t sum = 0;
    return kvstore_increment(store, key, strlen(key), 1, 0, &sum);
}

static void set_expiring(const char *key, const char *value)
{
    kvstore_set_options options = {.size = sizeof options};
    options.expires_ms = kvstore_now_ms() + 3600000;
    assert_int_equal(
        kvstore_set_with(
            store, key, strlen(key), value, strlen(value), &options),
        KVSTORE_OK);
}

/* No new index can answer for such a key, and one is built only once. What only
 * removes it removes it; what asks is refused. */
static void transaction_on_such_a_key_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        set(OLDER, "1");
        if (i == 0) {
            set_expiring(NEWER, "2");
        } else {
            set(NEWER, "2");
            assert_int_equal(rm(NEWER), KVSTORE_OK);
        }
        assert_int_equal(take(OLDER), KVSTORE_CORRUPT);
        assert_int_equal(add_one(OLDER), KVSTORE_CORRUPT);
        assert_int_equal(kvstore_expire(store, OLDER, strlen(OLDER), 0),
                         KVSTORE_CORRUPT);
        assert_int_equal(kvstore_remove_if(store, OLDER, strlen(OLDER), "1", 1),
                         KVSTORE_CORRUPT);

        assert_int_equal(rm_in_batch(OLDER), KVSTORE_OK);

        check_status(OLDER, KVSTORE_NOT_FOUND);
        check_value("0001", "0001");
        set(NEWER, "3");
        check_value(NEWER, "3");
    }
}

/* Enough keys that the index grows. */
static void growth_keeps_them_as_they_are(void **state)
{
    (void)state;
    set(OLDER, "1");
    set(NEWER, "2");

    for (int i = 0; i < 1000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%04d", i);
        set(key, key);
    }

    check_value(NEWER, "2");
    check_status(OLDER, KVSTORE_CORRUPT);
    check_others();
}

static void damage_of_one_key_makes_neither_serve_what_is_not_its_own(
    void **state)
{
    (void)state;
    static const char log[] =
        "{\"Set\":{\"key\":\"" NEWER "\",\"val\":\"2\"}}\n"
        "{\"Set\":{\"key\":\"" OLDER "\",\"val\":\"1\",\"sum\":\"00000000\"}}\n"
        "{\"Set\":{\"key\":\"0001\",\"val\":\"0001\"}}\n";
    kvstore_close(store);
    store = NULL;
    scratch_empty(path);
    scratch_write(path, "store.log", log, sizeof log - 1);

    open_again();

    check_status(OLDER, KVSTORE_CORRUPT);
    check_status(NEWER, KVSTORE_CORRUPT);
    check_value("0001", "0001");
}

/* --- Set-up --- */

static int set_up(void **state)
{
    (void)state;
    scratch_make(path);
    open_again();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kvstore_close(store);
    store = NULL;
    scratch_remove(path);
    return 0;
}

#define HASH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HASH_TEST(second_key_takes_the_slot_and_the_first_is_refused),
        HASH_TEST(new_index_cannot_separate_them),
        HASH_TEST(first_key_can_take_the_slot_back),
        HASH_TEST(absent_key_is_refused_and_not_given_the_others_value),
        HASH_TEST(verification_tells_of_the_key_that_is_refused),
        HASH_TEST(compaction_gives_the_older_one_up),
        HASH_TEST(remove_trusts_the_slot_and_removes_its_own_key_only),
        HASH_TEST(remove_at_the_others_remove_leaves_the_values_alone),
        HASH_TEST(transaction_on_such_a_key_ends),
        HASH_TEST(growth_keeps_them_as_they_are),
        HASH_TEST(damage_of_one_key_makes_neither_serve_what_is_not_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
