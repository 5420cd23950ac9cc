/* SPDX-License-Identifier: MIT */

/* Does a store refuse, mend and check as kvstore.h promises, also when calls fail
 * on the way: one whose log has records of a newer version, one that is repaired,
 * one whose index is of an earlier boot? */

#include "failing_calls.h"
#include "index/file.h"
#include "index/table.h"
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
#include <unistd.h>

#include <cmocka.h>

#define TOTAL_AT(member) \
    (HEADER_AT(totals) + offsetof(struct kv_table_totals, member))
#define CALLS_MAX 500

static struct {
    struct kv_io_table table;
    uint64_t boot;
} world;

static int told_boot_id(uint64_t *id_out)
{
    *id_out = world.boot;
    return 0;
}

static void no_sleep(int64_t ns)
{
    (void)ns;
}

static int set_up(void **state)
{
    failing_call = 0;
    world.boot = 1;
    world.table = *kv_io_system_table();
    world.table.pread = failing_pread;
    world.table.malloc = failing_malloc;
    world.table.boot_id = told_boot_id;
    world.table.sleep_ns = no_sleep;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define REFUSE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static bool is_of_a_call(kvstore_status status)
{
    return status == KVSTORE_IO || status == KVSTORE_NO_MEMORY;
}

/* --- Records of a newer version --- */

/* Writes a Set and such a record. Returns the record's offset. */
static uint64_t write_newer(const struct store_dir *dir, const char *variant)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t offset = log_text_add(&text, "{\"");
    log_text_add(&text, variant);
    log_text_add(&text, "\":{\"key\":\"b\",");
    log_text_close(&text, offset);
    log_text_set(&text, "c", "1");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    return offset;
}

static void assert_refused(kvstore *store, uint64_t offset)
{
    assert_int_equal(try_set(store, "a", "2"), KVSTORE_UNSUPPORTED);
    assert_int_equal(kvstore_last_error()->offset, offset);
    assert_non_null(strstr(kvstore_last_error()->message, "newer version"));
    assert_value(store, "a", "1");
}

/* The message has the variant's name, if that is one. */
static void newer_record_is_named_if_it_can_be(void **state)
{
    const struct store_dir *dir = *state;
    static const char *const variants[] = {
        "Rename", "R\\u0065name", "Renaming-of-what-has-a-very-long-name", ""};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        uint64_t offset = write_newer(dir, variants[i]);
        kvstore *store = open_plain(dir);

        assert_refused(store, offset);

        bool is_named = strstr(kvstore_last_error()->message, "Rename") != NULL;
        assert_true(is_named || i != 0);
        kvstore_close(store);
        remove_index(dir);
    }
}

/* A failure to look at the record is told as that. */
static void newer_record_that_cannot_be_read_is_no_reason_to_write(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offset = write_newer(dir, "Rename");
    int failed = 0;
    kvstore_status status = KVSTORE_IO;
    for (int n = 1; status != KVSTORE_UNSUPPORTED || n == 1; n++) {
        assert_true(n < CALLS_MAX);
        kvstore *store = open_plain(dir);
        failing_call = n;
        status = try_set(store, "a", "2");
        failing_call = 0;
        assert_true(status == KVSTORE_UNSUPPORTED || is_of_a_call(status));
        failed += status != KVSTORE_UNSUPPORTED ? 1 : 0;
        assert_refused(store, offset);
        kvstore_close(store);
    }
    assert_true(failed > 0);
}

/* The index says of another line that it is the first such record: it is built
 * anew, and says the same of the right one. */
static void newer_record_is_found_by_a_new_index(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offset = write_newer(dir, "Rename");
    kvstore_status status = KVSTORE_IO;
    for (int n = 1; status != KVSTORE_UNSUPPORTED || n == 1; n++) {
        assert_true(n < CALLS_MAX);
        kvstore *store = open_plain(dir);
        store_header_word(dir, TOTAL_AT(counts.unknown_offset), 0);
        failing_call = n;
        status = try_set(store, "a", "2");
        failing_call = 0;
        assert_true(status == KVSTORE_UNSUPPORTED || is_of_a_call(status));
        assert_refused(store, offset);
        assert_int_equal(load_header_word(dir, TOTAL_AT(counts.unknown_offset)),
                         offset);
        kvstore_close(store);
    }
}

static void log_with_two_names_says_how_to_help_it(void **state)
{
    const struct store_dir *dir = *state;
    char from[sizeof dir->path + 64];
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    kvstore_close(store);
    (void)snprintf(from, sizeof from, "%s", store_dir_path(dir, KV_LOG_NAME));
    assert_int_equal(link(from, store_dir_path(dir, "other")), 0);
    store = open_plain(dir);

    assert_int_equal(try_set(store, "a", "2"), KVSTORE_IO);

    assert_non_null(strstr(kvstore_last_error()->message, "2 names"));
    assert_value(store, "a", "1");
    assert_int_equal(unlink(store_dir_path(dir, "other")), 0);
    kvstore_close(store);
    store = open_plain(dir);
    must_set(store, "a", "2");
    kvstore_close(store);
}

/* --- Repair --- */

struct moved {
    int count;
    bool goes_on;
};

static bool see_moved(void *context, const kvstore_damage *damage)
{
    struct moved *moved = context;
    assert_int_equal(damage->kind, KVSTORE_DAMAGE_MOVED);
    assert_non_null(damage->file);
    moved->count++;
    return moved->goes_on;
}

/* Two damaged places, and a last line without its newline. */
static kvstore *open_damaged(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_damaged_set(&text, "b", "1");
    log_text_set(&text, "c", "1");
    log_text_damaged_set(&text, "d", "1");
    log_text_set(&text, "e", "1");
    log_text_chop(&text, 1);
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    return open_plain(dir);
}

static void repair_ends_the_last_line(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 2; i++) {
        struct moved moved = {.goes_on = i == 0};
        kvstore *store = open_damaged(dir);

        assert_int_equal(kvstore_repair(store, see_moved, &moved), KVSTORE_OK);

        assert_int_equal(moved.count, i == 0 ? 2 : 1);
        assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
        assert_value(store, "a", "1");
        assert_value(store, "c", "1");
        assert_value(store, "e", "1");
        must_set(store, "f", "1");
        kvstore_close(store);
        remove_index(dir);
        store = open_plain(dir);
        assert_int_equal(checked_stats(store).keys, 4);
        assert_int_equal(checked_stats(store).damaged_records, 0);
        kvstore_close(store);
        remove_index(dir);
    }
}

/* Of what was about to leave the log, no copy is left either. */
static void repair_that_fails_leaves_the_store(void **state)
{
    const struct store_dir *dir = *state;
    bool has_fired = true;
    int failed = 0;
    char name[64];
    for (int n = 1; has_fired; n++) {
        assert_true(n < CALLS_MAX);
        kvstore *store = open_damaged(dir);
        (void)snprintf(name,
                       sizeof name,
                       "store.log.cut-%ju",
                       (uintmax_t)checked_stats(store).damaged_offset);
        failing_call = n;
        kvstore_status status = kvstore_repair(store, NULL, NULL);
        has_fired = failing_call == 0;
        failing_call = 0;
        failed += status != KVSTORE_OK ? 1 : 0;
        assert_true(status == KVSTORE_OK ||
                    (has_fired && (status == KVSTORE_COMPACTION_FAILED ||
                                   is_of_a_call(status))));
        assert_int_equal(store_dir_has(dir, name), status == KVSTORE_OK);
        (void)unlink(store_dir_path(dir, name));
        assert_value(store, "a", "1");
        assert_value(store, "c", "1");
        assert_value(store, "e", "1");
        kvstore_close(store);
        remove_index(dir);
    }
    assert_true(failed > 3);
}

/* --- An index of an earlier boot --- */

/* Its slots of damaged keys are checked, too; and no failure of the check makes
 * a wrong index a right one. */
static void damaged_keys_are_checked_in_another_boot(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    size_t older = log_text_damaged_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    size_t newer = log_text_damaged_set(&text, "a", "3");
    log_text_damaged_set(&text, "say \\\"b\\\"", "1");
    log_text_set(&text, "c", "1");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    kvstore_close(open_plain(dir));
    kvstore_options options = plain_options();
    bool has_fired = true;
    for (int n = 1; has_fired; n++) {
        kvstore *store = NULL;
        assert_true(n < CALLS_MAX);
        struct stored_slot slot = find_damage_slot(dir, "a");
        slot.entry.pointer.offset = older;
        store_slot(dir, &slot);
        world.boot++;
        failing_call = n;
        kvstore_status status = kvstore_open(dir->path, &options, &store);
        has_fired = failing_call == 0;
        failing_call = 0;
        assert_true(status == KVSTORE_OK || is_of_a_call(status));
        store = store != NULL ? store : open_plain(dir);
        assert_corrupt(store, "a", newer);
        assert_value(store, "c", "1");
        kvstore_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REFUSE_TEST(newer_record_is_named_if_it_can_be),
        REFUSE_TEST(newer_record_that_cannot_be_read_is_no_reason_to_write),
        REFUSE_TEST(newer_record_is_found_by_a_new_index),
        REFUSE_TEST(log_with_two_names_says_how_to_help_it),
        REFUSE_TEST(repair_ends_the_last_line),
        REFUSE_TEST(repair_that_fails_leaves_the_store),
        REFUSE_TEST(damaged_keys_are_checked_in_another_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
