/* SPDX-License-Identifier: MIT */

/* Does a handle that can only read, of a store that has no index, see what others
 * append, cut and change? It folds the log by itself, goes on from where it was
 * if it can, and believes damage only if it sees the same twice. */

#include "failing_calls.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CALLS_MAX 500
#define LOOK_NS INT64_C(20000000) /* Names are looked at again by then. */

static struct {
    struct kv_io_table table;
    const struct store_dir *dir;
    int64_t passed_ns;
    void (*act)(void); /* At the pause with this number. */
    size_t acts_at;
    size_t pauses;
} world;

static int64_t told_clock(void)
{
    return kv_io_system_table()->clock_coarse_ns() + world.passed_ns;
}

static int64_t told_fine_clock(void)
{
    return kv_io_system_table()->clock_ns() + world.passed_ns;
}

/* Time passes at once. */
static void acting_sleep(int64_t ns)
{
    world.passed_ns += ns;
    if (world.act != NULL && world.pauses == world.acts_at) {
        world.act();
    }
    world.pauses++;
}

static int set_up(void **state)
{
    int result = store_dir_set_up(state);
    memset(&world, 0, sizeof world);
    failing_call = 0;
    world.dir = *state;
    world.table = *kv_io_system_table();
    world.table.pread = failing_pread;
    world.table.malloc = failing_malloc;
    world.table.fstatat = failing_fstatat;
    world.table.clock_coarse_ns = told_clock;
    world.table.clock_ns = told_fine_clock;
    world.table.sleep_ns = acting_sleep;
    kv_io_swap_table(&world.table);
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define PRIVATE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static kvstore *open_read_only(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.read_only = true;
    return open_with(dir, &options);
}

static void write_log(const char *text)
{
    store_dir_write(world.dir, KV_LOG_NAME, text, strlen(text));
}

static void append(const char *text)
{
    store_dir_append(world.dir, KV_LOG_NAME, text, strlen(text));
    world.passed_ns += LOOK_NS;
}

#define SET(key, value) "{\"Set\":{\"key\":\"" key "\",\"val\":\"" value "\"}}"

/* --- Following --- */

/* Each key is seen, or the call says why it is not; then the next is as if no
 * call had failed. So many keys make the index grow. */
static void appended_lines_are_seen_after_any_failure(void **state)
{
    const struct store_dir *dir = *state;
    char line[64];
    char key[32];
    int failed = 0;
    write_log(SET("first", "1") "\n");
    kvstore *store = open_read_only(dir);
    for (int n = 0; n < 400; n++) {
        name_key(key, sizeof key, n);
        (void)snprintf(line, sizeof line, SET("%s", "2") "\n", key);
        append(line);
        failing_call = n % 20 + 1;
        kvstore_status status = try_get(store, key);
        failing_call = 0;
        assert_true(status == KVSTORE_OK || status == KVSTORE_IO ||
                    status == KVSTORE_NO_MEMORY);
        failed += status != KVSTORE_OK ? 1 : 0;
        world.passed_ns += LOOK_NS;
        assert_value(store, key, "2");
        assert_value(store, "first", "1");
    }
    assert_true(failed > 20);
    assert_int_equal(checked_stats(store).keys, 401);
    kvstore_close(store);
}

static void growth_that_fails_is_made_up_for(void **state)
{
    const struct store_dir *dir = *state;
    char line[64];
    char key[32];
    for (int n = 1; n < 40; n++) {
        write_log(SET("first", "1") "\n");
        kvstore *store = open_read_only(dir);
        for (int i = 0; i < KEYS; i++) {
            name_key(key, sizeof key, i);
            (void)snprintf(line, sizeof line, SET("%s", "2") "\n", key);
            append(line);
        }
        failing_call = n;
        kvstore_status status = try_get(store, key);
        failing_call = 0;
        assert_true(status == KVSTORE_OK || status == KVSTORE_IO ||
                    status == KVSTORE_NO_MEMORY);
        world.passed_ns += LOOK_NS;
        assert_value(store, key, "2");
        assert_int_equal(checked_stats(store).keys, KEYS + 1);
        kvstore_close(store);
    }
}

/* --- Other changes --- */

static void newline_that_comes_later_changes_nothing(void **state)
{
    const struct store_dir *dir = *state;
    write_log(SET("a", "1") "\n" SET("b", "1"));
    kvstore *store = open_read_only(dir);
    assert_value(store, "b", "1");
    world.passed_ns += LOOK_NS;
    assert_value(store, "b", "1");

    append("\n");

    assert_value(store, "b", "1");
    append(SET("c", "1") "\n");
    assert_value(store, "c", "1");
    assert_int_equal(checked_stats(store).keys, 3);
    kvstore_close(store);
}

static void log_that_is_cut_is_folded_anew(void **state)
{
    const struct store_dir *dir = *state;
    write_log(SET("a", "1") "\n" SET("b", "1") "\n");
    kvstore *store = open_read_only(dir);
    assert_value(store, "b", "1");

    store_dir_truncate(dir, KV_LOG_NAME, strlen(SET("a", "1")) + 1);
    world.passed_ns += LOOK_NS;

    assert_absent(store, "b");
    assert_value(store, "a", "1");
    kvstore_close(store);
}

/* What was the last line is another one, and a line more is there. */
static void log_that_is_changed_is_folded_anew(void **state)
{
    const struct store_dir *dir = *state;
    write_log(SET("a", "1") "\n" SET("b", "1") "\n");
    kvstore *store = open_read_only(dir);
    assert_value(store, "b", "1");

    write_log(SET("a", "1") "\n" SET("x", "1") "\n" SET("y", "1") "\n");
    world.passed_ns += LOOK_NS;

    assert_value(store, "y", "1");
    assert_value(store, "x", "1");
    assert_absent(store, "b");
    kvstore_close(store);
}

/* --- Damage --- */

/* As a page looks that is being written. */
static void write_two_damaged(void)
{
    write_log("garbage\ngarbage\n" SET("a", "1") "\n");
}

static void write_long_damaged(void)
{
    write_log("a longer garbage\n" SET("a", "1") "\n");
}

static void write_later_damaged(void)
{
    write_log(SET("b", "1") "\ngarbage\n" SET("a", "1") "\n");
}

/* The last pause is that before the second look; a change then leads to a third
 * one. */
static void damage_is_believed_when_it_is_seen_twice(void **state)
{
    void (*const changes[])(void) = {
        write_two_damaged, write_long_damaged, write_later_damaged};
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        size_t pauses = 0;
        for (int is_changed = 0; is_changed < 2; is_changed++) {
            write_log("garbage\n" SET("a", "1") "\n");
            world.act = is_changed == 1 ? changes[i] : NULL;
            world.acts_at = pauses - 1;
            world.pauses = 0;
            kvstore *store = open_read_only(dir);

            kvstore_stats stats = checked_stats(store);

            assert_int_equal(stats.damaged_records,
                             is_changed == 1 && i == 0 ? 2 : 1);
            assert_true(is_changed == 0 || world.pauses == pauses + 1);
            pauses = world.pauses;
            assert_value(store, "a", "1");
            kvstore_close(store);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRIVATE_TEST(appended_lines_are_seen_after_any_failure),
        PRIVATE_TEST(growth_that_fails_is_made_up_for),
        PRIVATE_TEST(newline_that_comes_later_changes_nothing),
        PRIVATE_TEST(log_that_is_cut_is_folded_anew),
        PRIVATE_TEST(log_that_is_changed_is_folded_anew),
        PRIVATE_TEST(damage_is_believed_when_it_is_seen_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
