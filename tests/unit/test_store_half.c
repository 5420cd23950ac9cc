/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: a read in the middle of
 * the publication of a batch, whose writer is alive. test_kill_points.c lets it
 * die there. Time passes only where a call sleeps. */

#include "index/file.h"
#include "kvstore.h"
#include "os/gate.h"
#include "os/system.h"
#include "replay.h"
#include "store/store.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 200
#define NS_PER_MS INT64_C(1000000)

static struct {
    struct kv_io_table table;
    void (*beside)(void); /* At the next store to a slot; NULL: nothing. */
    kvstore *other;
    kvstore_watcher *watcher;
    int64_t now_ns;
    int64_t slept_ns;
    int renames; /* To store.index. */
} world;

static int64_t told_clock(void)
{
    return world.now_ns;
}

static void told_sleep(int64_t ns)
{
    world.now_ns += ns;
    world.slept_ns += ns;
}

static int counting_renameat(int dir_fd, const char *from, const char *to)
{
    world.renames += strcmp(to, KV_INDEX_NAME) == 0 ? 1 : 0;
    return kv_io_system_table()->renameat(dir_fd, from, to);
}

static void act_at_step(const char *name)
{
    void (*beside)(void) = world.beside;
    if (beside != NULL && strcmp(name, "slot") == 0) {
        world.beside = NULL;
        world.slept_ns = 0;
        world.renames = 0;
        beside();
    }
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.now_ns = INT64_C(1000000000000);
    world.table = *kv_io_system_table();
    world.table.clock_ns = told_clock;
    world.table.clock_coarse_ns = told_clock;
    world.table.sleep_ns = told_sleep;
    world.table.renameat = counting_renameat;
    world.table.step = act_at_step;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

static size_t name_key(char key[16], int number)
{
    return (size_t)snprintf(key, 16, "key-%03d", number);
}

static void write_batch(kvstore *store, const char *value)
{
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        size_t size = name_key(key, i);
        assert_int_equal(
            kvstore_batch_set(batch, key, size, value, strlen(value), 0),
            KVSTORE_OK);
    }
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    kvstore_batch_free(batch);
}

/* Writes a batch over another one, and lets another handle read in the middle. */
static void read_in_the_middle(const struct store_dir *dir,
                               bool is_read_only,
                               void (*beside)(void))
{
    kvstore_options options = plain_options();
    kvstore *writer = open_plain(dir);
    write_batch(writer, "old");
    options.read_only = is_read_only;
    world.other = open_with(dir, &options);
    assert_value(world.other, "key-000", "old");
    world.beside = beside;

    write_batch(writer, "new");

    assert_null(world.beside);
    assert_value(world.other, "key-000", "new");
    assert_value(world.other, "key-199", "new");
    assert_int_equal(checked_stats(world.other).slow_open, KVSTORE_OPEN_FAST);
    kvstore_close(world.other);
    kvstore_close(writer);
}

/* The first record is in its slot, and no other. */
static void get_first_and_last(void)
{
    assert_value(world.other, "key-000", "new");
    assert_true(world.slept_ns > 0 && world.slept_ns <= 2 * NS_PER_MS);
    assert_value(world.other, "key-199", "old");
    assert_int_equal(world.renames, 0);
}

static void get_waits_for_a_moment_only(void **state)
{
    read_in_the_middle(*state, false, get_first_and_last);
}

static void get_of_a_reader_does_too(void **state)
{
    read_in_the_middle(*state, true, get_first_and_last);
}

/* Another thread of the handle is writing, and stays so. */
static void get_beside_a_thread(void)
{
    struct kv_gate_waiter waiter = {.has_work = false};
    world.now_ns = kv_io_system_table()->clock_ns();
    assert_int_equal(
        kv_gate_enter(&world.other->gate, &waiter, KV_GATE_NO_DEADLINE),
        KVSTORE_OK);
    assert_value(world.other, "key-000", "new");
    kv_gate_leave(&world.other->gate);
}

static void get_does_not_wait_for_the_own_threads(void **state)
{
    read_in_the_middle(*state, false, get_beside_a_thread);
}

static void get_all_at_once(void)
{
    static char keys[KEYS][16];
    kvstore_item items[KEYS] = {{.key = NULL}};
    for (int i = 0; i < KEYS; i++) {
        items[i].key = keys[i];
        items[i].key_size = name_key(keys[i], i);
    }
    assert_int_equal(kvstore_get_many(world.other, items, KEYS), KVSTORE_OK);
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(items[i].status, KVSTORE_OK);
        assert_memory_equal(items[i].value, i < KEYS - 1 ? "new" : "old", 3);
        kvstore_free(items[i].value);
    }
    assert_true(world.slept_ns <= 2 * NS_PER_MS);
    assert_int_equal(world.renames, 0);
}

/* At the last store to a slot but one. */
static void wait_for_the_last_but_one(void)
{
    static int stores;
    world.beside =
        ++stores < KEYS - 1 ? wait_for_the_last_but_one : get_all_at_once;
    if (stores == KEYS - 1) {
        stores = 0;
        world.beside = NULL;
        get_all_at_once();
    }
}

static void many_keys_wait_once(void **state)
{
    read_in_the_middle(*state, false, wait_for_the_last_but_one);
}

/* The log has all of the batch by then, and no index has it. */
static void hear_nothing(void)
{
    const kvstore_change *change = NULL;
    assert_int_equal(kvstore_watcher_next(world.watcher, 0, &change),
                     KVSTORE_NOT_FOUND);
}

static void watcher_hears_of_a_batch_when_all_can_read_it(void **state)
{
    kvstore *writer = open_plain(*state);
    world.other = open_plain(*state);
    write_batch(writer, "old");
    world.watcher = watch(world.other);
    world.beside = hear_nothing;

    write_batch(writer, "new");

    assert_null(world.beside);
    expect_set_of_batch(world.watcher, "key-000", "new", KEYS - 1);
    kvstore_watcher_free(world.watcher);
    kvstore_close(world.other);
    kvstore_close(writer);
}

#define HALF_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HALF_TEST(get_waits_for_a_moment_only),
        HALF_TEST(get_of_a_reader_does_too),
        HALF_TEST(get_does_not_wait_for_the_own_threads),
        HALF_TEST(many_keys_wait_once),
        HALF_TEST(watcher_hears_of_a_batch_when_all_can_read_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
