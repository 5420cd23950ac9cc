/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: when a compaction runs,
 * and what a failed one leaves. */

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define VALUE "a value that takes some forty bytes, or so"

static kvstore_options inline_options(uint64_t threshold, uint32_t percent)
{
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = threshold;
    options.compaction_percent = percent;
    return options;
}

static uint64_t line_size(void)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "key", VALUE);
    uint64_t size = text.size;
    log_text_release(&text);
    return size;
}

/* Returns how many sets of one key it takes until a compaction has run. */
static int sets_to_compaction(kvstore *store, int most)
{
    uint64_t compactions = checked_stats(store).compactions;
    for (int i = 1; i <= most; i++) {
        must_set(store, "key", VALUE);
        if (checked_stats(store).compactions > compactions) {
            return i;
        }
    }
    return 0;
}

static void threshold_makes_it_due_and_not_earlier(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(10 * line_size(), 1);
    kvstore *store = open_with(dir, &options);

    assert_int_equal(sets_to_compaction(store, 100), 11);
    assert_int_equal(checked_stats(store).log_bytes, line_size());
    assert_int_equal(sets_to_compaction(store, 100), 10);

    assert_value(store, "key", VALUE);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), line_size());
    kvstore_close(store);
}

static void percent_makes_it_due_and_not_earlier(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(1, 75);
    kvstore *store = open_with(dir, &options);

    /* With the fourth set 3 of 4 lines are stale. */
    assert_int_equal(sets_to_compaction(store, 100), 4);
    kvstore_close(store);
}

static void large_store_waits_for_its_share(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(5 * line_size(), 0);
    kvstore *store = open_with(dir, &options);
    for (int i = 10; i < 40; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        must_set(store, key, VALUE);
    }

    /* Counting the key itself, 31 lines are live. */
    assert_int_equal(sets_to_compaction(store, 100), 32);
    kvstore_close(store);
}

static void defaults_are_a_mebibyte_and_half(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(0, 0);
    kvstore *store = open_with(dir, &options);
    int lines = (int)((1048576 + line_size() - 1) / line_size());

    assert_int_equal(sets_to_compaction(store, 2 * lines), lines + 1);
    kvstore_close(store);
}

static void manual_handle_never_compacts_by_itself(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(1, 1);
    options.compaction = KVSTORE_COMPACT_MANUAL;
    kvstore *store = open_with(dir, &options);

    assert_int_equal(sets_to_compaction(store, 100), 0);
    must_compact(store);

    assert_int_equal(checked_stats(store).compactions, 1);
    assert_int_equal(checked_stats(store).stale_bytes, 0);
    kvstore_close(store);
}

static void threshold_can_be_changed(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(1, 1);
    kvstore *store = open_with(dir, &options);

    kvstore_set_compaction_threshold(store, UINT64_MAX);
    assert_int_equal(sets_to_compaction(store, 100), 0);
    kvstore_set_compaction_threshold(store, 0);
    assert_int_equal(sets_to_compaction(store, 100), 0);
    kvstore_set_compaction_threshold(store, 1);
    assert_int_equal(sets_to_compaction(store, 100), 1);
    kvstore_close(store);
}

static void removes_make_it_due_too(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(1, 100);
    kvstore *store = open_with(dir, &options);
    must_set(store, "key", VALUE);

    must_remove(store, "key");

    assert_int_equal(checked_stats(store).compactions, 1);
    assert_int_equal(checked_stats(store).log_bytes, 0);
    kvstore_close(store);
}

/* --- Failures --- */

static struct kv_io_table table;
static int renames;

static int failing_rename(int fd, const char *from, const char *to)
{
    (void)fd;
    (void)from;
    (void)to;
    renames++;
    errno = EACCES;
    return -1;
}

static int restore_table_and_tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define TABLE_TEST(test) \
    cmocka_unit_test_setup_teardown( \
        test, store_dir_set_up, restore_table_and_tear_down)

static void begin_failing(void)
{
    table = *kv_io_system_table();
    table.renameat = failing_rename;
    renames = 0;
    kv_io_swap_table(&table);
}

static void failed_compaction_does_not_fail_the_set(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(1, 1);
    kvstore *store = open_with(dir, &options);
    must_set(store, "key", "old");
    assert_int_equal(kvstore_sync(NULL), KVSTORE_INVALID);
    begin_failing();

    must_set(store, "key", VALUE);

    assert_int_equal(renames, 1);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_INVALID);
    assert_value(store, "key", VALUE);
    assert_int_equal(checked_stats(store).compactions, 0);
    kvstore_close(store);
}

static void failed_compaction_is_not_tried_at_every_set(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(10 * line_size(), 1);
    kvstore *store = open_with(dir, &options);
    begin_failing();

    for (int i = 0; i < 41; i++) {
        must_set(store, "key", VALUE);
    }

    assert_int_equal(renames, 4);
    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(sets_to_compaction(store, 100), 10);
    assert_int_equal(sets_to_compaction(store, 100), 10);
    kvstore_close(store);
}

/* By the handle's own terms, also if it does not compact by itself. */
static void stats_tell_whether_one_is_due(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = inline_options(2 * line_size(), 1);
    options.compaction = KVSTORE_COMPACT_MANUAL;
    kvstore *store = open_with(dir, &options);
    must_set(store, "key", VALUE);
    must_set(store, "key", VALUE);
    assert_int_equal(checked_stats(store).compaction_due, 0);
    must_set(store, "key", VALUE);
    assert_int_equal(checked_stats(store).compaction_due, 1);

    begin_failing();
    assert_int_equal(kvstore_compact_if_due(store), KVSTORE_COMPACTION_FAILED);
    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(checked_stats(store).compaction_due, 0);
    must_set(store, "key", VALUE);
    must_set(store, "key", VALUE);
    assert_int_equal(checked_stats(store).compaction_due, 1);
    assert_int_equal(kvstore_compact_if_due(store), KVSTORE_OK);
    assert_int_equal(checked_stats(store).compaction_due, 0);
    kvstore_close(store);
}

static void failed_compaction_is_reported_by_its_call(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "old");
    must_set(store, "key", VALUE);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    begin_failing();

    assert_int_equal(kvstore_compact(store), KVSTORE_COMPACTION_FAILED);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_COMPACTION_FAILED);
    assert_int_equal(kvstore_last_error()->system_errno, EACCES);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    kv_io_swap_table(kv_io_system_table());
    must_compact(store);
    assert_value(store, "key", VALUE);
    kvstore_close(store);
}

/* The handle is as it was: it can be closed, and asked again. */
static void lost_log_is_told_where_none_may_be_due(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", VALUE);
    assert_int_equal(unlinkat(dir->directory.fd, KV_LOG_NAME, 0), 0);
    kv_io_sleep_ns(30000000); /* Until the names are looked at. */

    assert_int_equal(kvstore_compact_if_due(store), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ENOENT);
    assert_int_equal(kvstore_compact_if_due(store), KVSTORE_IO);
    kvstore_close(store);
}

static int renamed;

static int noting_rename(int fd, const char *from, const char *to)
{
    renamed = 1;
    return kv_io_system_table()->renameat(fd, from, to);
}

static int fsync_failing_after_the_rename(int fd)
{
    if (renamed != 0) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fsync(fd);
}

/* All data is there, in a file whose name may yet be lost. */
static void unsynced_directory_refuses_writes(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "old");
    must_set(store, "key", VALUE);
    table = *kv_io_system_table();
    table.renameat = noting_rename;
    table.fsync = fsync_failing_after_the_rename;
    renamed = 0;
    kv_io_swap_table(&table);

    assert_int_equal(kvstore_compact(store), KVSTORE_IO);

    kv_io_swap_table(kv_io_system_table());
    assert_value(store, "key", VALUE);
    assert_int_equal(try_set(store, "key", "new"), KVSTORE_IO);
    must_compact(store);
    must_set(store, "key", "new");
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(threshold_makes_it_due_and_not_earlier),
        TABLE_TEST(percent_makes_it_due_and_not_earlier),
        TABLE_TEST(large_store_waits_for_its_share),
        TABLE_TEST(defaults_are_a_mebibyte_and_half),
        TABLE_TEST(manual_handle_never_compacts_by_itself),
        TABLE_TEST(threshold_can_be_changed),
        TABLE_TEST(removes_make_it_due_too),
        TABLE_TEST(failed_compaction_does_not_fail_the_set),
        TABLE_TEST(failed_compaction_is_not_tried_at_every_set),
        TABLE_TEST(stats_tell_whether_one_is_due),
        TABLE_TEST(failed_compaction_is_reported_by_its_call),
        STORE_TEST(lost_log_is_told_where_none_may_be_due),
        TABLE_TEST(unsynced_directory_refuses_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
