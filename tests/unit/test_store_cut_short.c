/* SPDX-License-Identifier: MIT */

/* Do the calls that go through the whole log do what kvstore.h promises when
 * another program cuts or changes it meanwhile? They say so, and neither tell nor
 * copy a part of the keys as if it were all. */

#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FIRST "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
#define SECOND "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
#define BLANK "                             \n"

static struct {
    struct kv_io_table table;
    const struct store_dir *dir;
    void (*act_at_dup)(void);  /* Once, when the log is opened once more; */
    void (*act_at_copy)(void); /* or when its copy is made. */
    char copy[300];
} world;

static void act_once(void (**act)(void))
{
    void (*once)(void) = *act;
    *act = NULL;
    if (once != NULL) {
        once();
    }
}

static int acting_dup(int fd)
{
    act_once(&world.act_at_dup);
    return kv_io_system_table()->dup_high(fd);
}

static int acting_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    if (strcmp(name, KV_LOG_COMPACT_NAME) == 0) {
        act_once(&world.act_at_copy);
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static int set_up(void **state)
{
    int result = store_dir_set_up(state);
    memset(&world, 0, sizeof world);
    world.dir = *state;
    (void)snprintf(world.copy, sizeof world.copy, "%s/copy", world.dir->path);
    world.table = *kv_io_system_table();
    world.table.dup_high = acting_dup;
    world.table.openat = acting_openat;
    kv_io_swap_table(&world.table);
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define CUT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static kvstore *open_log(const char *text)
{
    store_dir_write(world.dir, KV_LOG_NAME, text, strlen(text));
    return open_plain(world.dir);
}

static void cut_log(void)
{
    store_dir_truncate(world.dir, KV_LOG_NAME, strlen(FIRST));
}

/* With the place up to which the log could be read. */
static void assert_said(kvstore_status status, const char *what)
{
    assert_int_equal(status, KVSTORE_CORRUPT);
    assert_int_equal(kvstore_last_error()->offset, strlen(FIRST));
    assert_non_null(strstr(kvstore_last_error()->message, what));
}

/* --- A log that is cut --- */

static bool see_no_key(void *context, const void *key, size_t key_size)
{
    (void)context;
    (void)key;
    (void)key_size;
    fail();
    return true;
}

static void list_of_a_log_that_is_cut_tells_no_key(void **state)
{
    (void)state;
    kvstore *store = open_log(FIRST SECOND);
    world.act_at_dup = cut_log;

    assert_said(kvstore_list(store, NULL, 0, see_no_key, NULL), "was changed");

    kvstore_close(store);
}

static void iterator_of_a_log_that_is_cut_is_not_made(void **state)
{
    (void)state;
    kvstore_iterator *iterator = NULL;
    kvstore *store = open_log(FIRST SECOND);
    world.act_at_dup = cut_log;

    assert_said(kvstore_iterator_create(store, NULL, &iterator), "was changed");

    assert_null(iterator);
    kvstore_close(store);
}

static void verify_tells_that_the_log_is_cut(void **state)
{
    (void)state;
    kvstore *store = open_log(FIRST SECOND);
    world.act_at_dup = cut_log;

    assert_said(kvstore_verify(store, NULL, NULL), "was cut short");

    kvstore_close(store);
}

/* --- A backup --- */

/* There is no store in the directory then, and the next backup can go there. */
static void assert_no_copy(kvstore *store)
{
    kvstore_options options = plain_options();
    kvstore *copy = NULL;
    options.no_create = true;
    assert_int_not_equal(kvstore_open(world.copy, &options, &copy), KVSTORE_OK);
    assert_null(copy);
    kvstore_close(store);
}

static void backup_of_a_log_that_is_cut_is_none(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        kvstore *store = open_log(FIRST SECOND);
        world.act_at_dup = i == 0 ? cut_log : NULL;
        world.act_at_copy = i == 0 ? NULL : cut_log;

        assert_said(kvstore_backup(store, world.copy), "was changed");

        assert_no_copy(store);
        remove_index(world.dir);
    }
}

/* It has rotted so that it looks unfinished. */
static void backup_of_a_last_line_that_looks_torn_is_none(void **state)
{
    (void)state;
    kvstore *store = open_log(FIRST SECOND);
    uint64_t end = strlen(FIRST SECOND);
    store_dir_overwrite(world.dir, KV_LOG_NAME, end - 3, "xxx", 3);

    assert_said(kvstore_backup(store, world.copy), "was changed");

    assert_no_copy(store);
}

static void blank_first_line(void)
{
    store_dir_overwrite(world.dir, KV_LOG_NAME, 0, BLANK, strlen(FIRST));
}

static void blank_line_and_set_another(void)
{
    store_dir_overwrite(
        world.dir, KV_LOG_NAME, 0, BLANK SECOND, strlen(BLANK SECOND));
}

/* The copy would lack a key that the store had all along. */
static void backup_of_a_line_that_vanishes_is_none(void **state)
{
    void (*const acts[])(void) = {blank_first_line, blank_line_and_set_another};
    (void)state;
    assert_int_equal(strlen(BLANK), strlen(FIRST));
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        kvstore *store = open_log(i == 0 ? FIRST SECOND : FIRST BLANK);
        world.act_at_copy = acts[i];

        assert_int_equal(kvstore_backup(store, world.copy), KVSTORE_CORRUPT);

        assert_non_null(strstr(kvstore_last_error()->message, "was changed"));
        assert_no_copy(store);
        remove_index(world.dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUT_TEST(list_of_a_log_that_is_cut_tells_no_key),
        CUT_TEST(iterator_of_a_log_that_is_cut_is_not_made),
        CUT_TEST(verify_tells_that_the_log_is_cut),
        CUT_TEST(backup_of_a_log_that_is_cut_is_none),
        CUT_TEST(backup_of_a_last_line_that_looks_torn_is_none),
        CUT_TEST(backup_of_a_line_that_vanishes_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
