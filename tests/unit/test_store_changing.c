/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: a line of the log
 * changes between the two reads that a get makes of it. */

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "record/expiry.h"
#include "store/handle.h"
#include "store/read.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is between the quotes of the value, and what it becomes. */
struct change {
    const char *member;
    const char *before;
    const char *after;
};

static const struct change changes[] = {
    {"val", "\\u0041\\u0041\\u0041", "AAAAAAAAAAAAAAAAAA"},
    {"val", "\\u0041 and more", "\\n\\n\\n and more"},
    {"val", "\\n\\n\\n and more", "\\u0041 and more"},
    {"val", "and more\\n", "and more \\"},
    {"val64", "Zg==", "Zm9v"},
    {"val64", "Zm9v", "Zg=="},
    {"val64", "Zm9vZm8=", "Zm9vZm9v"},
};
#define CHANGE_COUNT (sizeof changes / sizeof *changes)

#define HEAD "{\"Set\":{\"key\":\"k\",\""

static struct {
    struct kv_io_table table;
    const struct store_dir *dir;
    const struct change *change; /* NULL: it has been made. */
} world;

/* A log is not mapped where addresses have 32 bits: then a line is read once, into
 * memory of the reader's own. */
static void skip_without_a_map(void)
{
    if (sizeof(void *) < 8) {
        skip();
    }
}

static void make_change(void)
{
    const struct change *change = world.change;
    world.change = NULL;
    store_dir_overwrite(world.dir,
                        KV_LOG_NAME,
                        strlen(HEAD) + strlen(change->member) + 3,
                        change->after,
                        strlen(change->after));
}

static void *changing_malloc(size_t size)
{
    if (world.change != NULL) {
        make_change();
    }
    return kv_io_system_table()->malloc(size);
}

static int set_up(void **state)
{
    int result = store_dir_set_up(state);
    memset(&world, 0, sizeof world);
    world.dir = *state;
    world.table = *kv_io_system_table();
    world.table.malloc = changing_malloc;
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

/* Opens a store with this one line, and reads until its log is mapped. */
static kvstore *open_mapped(const struct change *change)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, HEAD);
    log_text_add(&text, change->member);
    log_text_add(&text, "\":\"");
    log_text_add(&text, change->before);
    log_text_add(&text, "\"}}\n");
    store_dir_write_log(world.dir, &text);
    log_text_release(&text);
    kvstore *store = open_plain(world.dir);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(try_get(store, "k"), KVSTORE_OK);
    }
    return store;
}

static void assert_was_changed(kvstore_status status)
{
    assert_int_equal(status, KVSTORE_CORRUPT);
    assert_int_equal(kvstore_last_error()->offset, 0);
    assert_non_null(strstr(kvstore_last_error()->message, "was changed"));
}

static void get_of_a_value_that_changes_is_corrupt(void **state)
{
    skip_without_a_map();
    (void)state;
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        kvstore *store = open_mapped(&changes[i]);
        void *value = &value;
        size_t size = 1;
        world.change = &changes[i];

        assert_was_changed(kvstore_get(store, "k", 1, &value, &size));

        assert_null(world.change);
        assert_null(value);
        assert_int_equal(size, 0);
        kvstore_close(store);
    }
}

static void item_of_many_that_changes_is_corrupt(void **state)
{
    skip_without_a_map();
    (void)state;
    kvstore *store = open_mapped(&changes[0]);
    kvstore_item item = {.key = "k", .key_size = 1};
    world.change = &changes[0];

    assert_int_equal(kvstore_get_many(store, &item, 1), KVSTORE_OK);

    assert_null(world.change);
    assert_int_equal(item.status, KVSTORE_CORRUPT);
    assert_null(item.value);
    kvstore_close(store);
}

/* Nothing is called between the two reads, so this calls the halves of
 * kvstore_get_into(). */
static void get_into_a_buffer_stays_in_it(void **state)
{
    skip_without_a_map();
    (void)state;
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        kvstore *store = open_mapped(&changes[i]);
        struct kv_index_find find;
        uint64_t doubt_offset = 0;
        assert_int_equal(kv_store_begin_read(store), KVSTORE_OK);
        assert_int_equal(
            kv_index_find(&store->index, &store->log, "k", 1, &find),
            KVSTORE_OK);
        assert_null(find.record.owned);
        assert_null(find.line.allocated);
        size_t size = find.record.value.size;
        char *buffer = malloc(size + 1);
        assert_non_null(buffer);
        buffer[size] = '#';
        struct kv_expiry expiry = {.has_asked = false};
        struct kv_store_destination destination = {
            .buffer = buffer, .capacity = size, .expiry = &expiry};
        world.change = &changes[i];
        make_change();

        assert_was_changed(
            kv_store_answer(store, &find, &destination, &doubt_offset));

        kv_store_end_read(store);
        assert_int_equal(buffer[size], '#');
        assert_int_equal(destination.value_size, 0);
        free(buffer);
        kvstore_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANGE_TEST(get_of_a_value_that_changes_is_corrupt),
        CHANGE_TEST(item_of_many_that_changes_is_corrupt),
        CHANGE_TEST(get_into_a_buffer_stays_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
