/* SPDX-License-Identifier: MIT */

/* Does a watcher do what kvstore.h promises when another program changes a line
 * between the moment when it was noted and that when its large value is read? It
 * begins anew with the state of the store, and never tells what was not stored. */

#include "failing_calls.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "replay.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE_SIZE ((size_t)100000)
#define CHANGES_MAX 10

static struct {
    struct kv_io_table table;
} world;

static int set_up(void **state)
{
    failing_call = 0;
    world.table = *kv_io_system_table();
    world.table.pread = failing_pread;
    world.table.malloc = failing_malloc;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define CHANGE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- Three changes, of which the second is large --- */

struct scene {
    kvstore *store;
    kvstore_watcher *watcher;
    char *value;
    uint64_t offset; /* Of the large line, */
    size_t length;   /* which has so many bytes. */
};

/* The first change is told, and the others are noted. */
static struct scene begin(const struct store_dir *dir)
{
    struct scene scene = {.store = open_plain(dir)};
    scene.watcher = watch(scene.store);
    scene.value = malloc(LARGE_SIZE + 1);
    assert_non_null(scene.value);
    memset(scene.value, 'v', LARGE_SIZE);
    scene.value[LARGE_SIZE] = '\0';
    must_set(scene.store, "first", "1");
    scene.offset = store_dir_file_size(dir, KV_LOG_NAME);
    must_set(scene.store, "key", scene.value);
    scene.length =
        (size_t)(store_dir_file_size(dir, KV_LOG_NAME) - scene.offset);
    must_set(scene.store, "last", "3");
    expect_set(scene.watcher, "first", "1");
    return scene;
}

static void end(struct scene *scene)
{
    kvstore_watcher_free(scene->watcher);
    kvstore_close(scene->store);
    free(scene->value);
}

/* Puts a line, and blanks after it, in the place of the large one. */
static void replace_line(const struct store_dir *dir,
                         const struct scene *scene,
                         const char *start,
                         const char *value,
                         const char *rest)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, start);
    log_text_add(&text, value);
    log_text_add(&text, rest);
    assert_true(text.size < scene->length);
    log_text_fill(&text, ' ', scene->length - text.size - 1);
    log_text_add(&text, "\n");
    store_dir_overwrite(dir, KV_LOG_NAME, scene->offset, text.bytes, text.size);
    log_text_release(&text);
}

/* All keys are told once more, the last one with its value. */
static void assert_begins_anew(struct scene *scene)
{
    bool has_last = false;
    expect_kind(scene->watcher, KVSTORE_CHANGE_RESET);
    for (int i = 0; i < CHANGES_MAX; i++) {
        const kvstore_change *change = next_change(scene->watcher);
        if (change->kind == KVSTORE_CHANGE_CURRENT) {
            assert_true(has_last);
            expect_nothing(scene->watcher);
            return;
        }
        assert_int_equal(change->kind, KVSTORE_CHANGE_SET);
        if (strcmp(change->entry->key, "last") == 0) {
            assert_string_equal(change->entry->value, "3");
            has_last = true;
        }
    }
    fail();
}

/* --- The tests --- */

static void large_value_that_is_another_by_now_is_not_told(void **state)
{
    static const struct {
        const char *start;
        bool has_value;
        const char *rest;
    } lines[] = {
        {"{\"Remove\":{\"key\":\"key\"}}", false, ""},
        {"{\"Set\":{\"key\":\"key\",\"val\":\"", false, "short\"}}"},
        {"{\"Set\":{\"key\":\"kex\",\"val\":\"", true, "\"}}"},
        {"", false, ""},
    };
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct scene scene = begin(dir);
        replace_line(dir,
                     &scene,
                     lines[i].start,
                     lines[i].has_value ? scene.value : "",
                     lines[i].rest);

        assert_begins_anew(&scene);

        end(&scene);
        remove_index(dir);
        store_dir_write(dir, KV_LOG_NAME, "", 0);
    }
}

/* It is a part of the line before it by now. */
static void large_value_without_a_line_of_its_own_is_not_told(void **state)
{
    const struct store_dir *dir = *state;
    struct scene scene = begin(dir);
    store_dir_overwrite(dir, KV_LOG_NAME, scene.offset - 1, " ", 1);

    assert_begins_anew(&scene);

    end(&scene);
}

/* The same change can be asked for again. */
static void large_value_is_told_after_failures(void **state)
{
    const struct store_dir *dir = *state;
    const kvstore_change *change = NULL;
    struct scene scene = begin(dir);
    kvstore_status status = KVSTORE_IO;
    int failed = 0;
    for (int n = 1; status != KVSTORE_OK; n++) {
        assert_true(n < 20);
        failing_call = n;
        status = kvstore_watcher_next(scene.watcher, 0, &change);
        failed += status != KVSTORE_OK ? 1 : 0;
        assert_true(status == KVSTORE_OK || status == KVSTORE_IO ||
                    status == KVSTORE_NO_MEMORY);
    }
    failing_call = 0;
    assert_true(failed >= 2);
    assert_int_equal(change->kind, KVSTORE_CHANGE_SET);
    assert_int_equal(change->entry->value_size, LARGE_SIZE);
    assert_memory_equal(change->entry->value, scene.value, LARGE_SIZE);
    expect_set(scene.watcher, "last", "3");
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANGE_TEST(large_value_that_is_another_by_now_is_not_told),
        CHANGE_TEST(large_value_without_a_line_of_its_own_is_not_told),
        CHANGE_TEST(large_value_is_told_after_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
