/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: what others do to the
 * log without the lock, while handles have it open. */

#include "kvstore.h"
#include "log/log.h"
#include "os/directory.h"
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

#include <cmocka.h>

/* --- Between two calls --- */

/* Handles check the names of their files every 10 ms. */
static void pass_the_check_interval(void)
{
    kv_io_sleep_ns(25 * INT64_C(1000000));
}

static void line_appended_by_hand_is_read_after_the_next_write(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    static const char line[] = "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n";
    must_set(store, "a", "1");

    store_dir_append(dir, KV_LOG_NAME, line, sizeof line - 1);

    pass_the_check_interval();
    must_set(store, "c", "3");
    assert_value(store, "b", "2");
    assert_value(store, "a", "1");
    assert_int_equal(checked_stats(store).keys, 3);
    kvstore_close(store);
}

static void replaced_log_is_the_store(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "b", "2");
    must_set(store, "a", "1");
    store_dir_write(dir, "other", text.bytes, text.size);
    log_text_release(&text);

    assert_int_equal(
        renameat(dir->directory.fd, "other", dir->directory.fd, KV_LOG_NAME),
        0);

    pass_the_check_interval();
    assert_absent(store, "a");
    assert_value(store, "b", "2");
    must_set(store, "c", "3");
    kvstore_close(store);
    store = open_plain(dir);
    assert_value(store, "b", "2");
    assert_value(store, "c", "3");
    kvstore_close(store);
}

static void deleted_log_is_an_error(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");

    assert_int_equal(kv_io_unlink(&dir->directory, KV_LOG_NAME), KVSTORE_OK);

    pass_the_check_interval();
    assert_int_equal(try_get(store, "a"), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ENOENT);
    assert_int_equal(try_set(store, "a", "2"), KVSTORE_IO);
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_IO);
    assert_int_equal(kvstore_compact(store), KVSTORE_IO);
    assert_false(store_dir_has(dir, KV_LOG_NAME));
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    assert_absent(store, "a");
    must_set(store, "a", "3");
    assert_value(store, "a", "3");
    kvstore_close(store);
}

static void truncated_log_is_folded_anew(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    must_set(store, "a", "2");
    must_set(store, "b", "2");

    store_dir_truncate(dir, KV_LOG_NAME, size);

    assert_value(store, "a", "1");
    assert_absent(store, "b");
    must_set(store, "b", "3");
    store_dir_truncate(dir, KV_LOG_NAME, 0);
    must_set(store, "c", "4");
    assert_absent(store, "a");
    assert_value(store, "c", "4");
    assert_int_equal(checked_stats(store).keys, 1);
    kvstore_close(store);
}

/* --- At any moment of a write --- */

static struct {
    struct kv_io_table table;
    const struct store_dir *dir;
    const char *bytes;
    int looks_left; /* Before the append; -1: it was made. */
} appender;

static off_t appending_file_end(int fd)
{
    if (appender.looks_left == 0) {
        store_dir_append(
            appender.dir, KV_LOG_NAME, appender.bytes, strlen(appender.bytes));
    }
    appender.looks_left -= appender.looks_left >= 0 ? 1 : 0;
    return kv_io_system_table()->file_end(fd);
}

/* Writes, and has bytes appended just before one of the checks of the log's
 * size that this makes. True if that check was made. */
static bool append_at_look(const struct store_dir *dir,
                           kvstore *store,
                           const char *bytes,
                           int look)
{
    appender.table = *kv_io_system_table();
    appender.table.file_end = appending_file_end;
    appender.dir = dir;
    appender.bytes = bytes;
    appender.looks_left = look;
    kv_io_swap_table(&appender.table);
    kvstore_status status = try_set(store, "c", "3");
    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(status, KVSTORE_OK);
    return appender.looks_left < 0;
}

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(int *)context)++;
}

static int count_cut_files(const struct store_dir *dir)
{
    int count = 0;
    assert_int_equal(
        kv_io_list(
            &dir->directory, KV_LOG_NAME ".cut-", "", count_name, &count),
        KVSTORE_OK);
    return count;
}

/* Begins with a line that the store wrote; then something follows that it did
 * not write, and more at one of the checks. */
static bool try_moment(const struct store_dir *dir,
                       bool is_durable,
                       const char *before,
                       const char *bytes,
                       int look)
{
    kvstore_options options = plain_options();
    options.sync = is_durable ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    kvstore *store = open_with(dir, &options);
    must_set(store, "a", "1");
    store_dir_append(dir, KV_LOG_NAME, before, strlen(before));
    pass_the_check_interval();

    bool was_taken = append_at_look(dir, store, bytes, look);

    kvstore *other = open_plain(dir);
    for (int i = 0; i < 2 && was_taken; i++) {
        const kvstore *reader = i == 0 ? store : other;
        assert_value(reader, "a", "1");
        assert_value(reader, "b", "2");
        assert_value(reader, "c", "3");
        assert_int_equal(checked_stats(reader).damaged_records, 0);
    }
    assert_int_equal(count_cut_files(dir), 0);
    kvstore_close(other);
    kvstore_close(store);
    return was_taken;
}

/* Each check of the log's size in a write finds more than the last. */
static void line_appended_at_any_moment_of_a_write_is_kept(void **state)
{
    static const char line[] = "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n";
    static const char *const before[] = {
        "",
        "\n",
        "{\"Set\":{\"key\":\"x\",\"val\":\"0\"}}\n",
    };
    int moments = 0;
    for (size_t i = 0; i < 2 * sizeof before / sizeof *before; i++) {
        int look = 0;
        while (try_moment(*state, i % 2 == 0, before[i / 2], line, look)) {
            look++;
        }
        moments += look;
    }
    assert_true(moments >= 12);
}

/* Another program adds the newline that the last line lacks, and a line after
 * it. */
static void missing_newline_added_by_another_is_no_torn_tail(void **state)
{
    static const char open_line[] = "{\"Set\":{\"key\":\"x\",\"val\":\"0\"}}";
    static const char rest_of_it[] =
        "\n{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n";
    int look = 0;
    while (try_moment(*state, true, open_line, rest_of_it, look)) {
        look++;
    }
    assert_true(look >= 2);
}

/* What is joined to a line without its newline, torn or whole, is damage, and
 * damage is never cut. At the last look that line has been mended already, and
 * what comes then is a line of its own. */
static void assert_joined_is_damage(const struct store_dir *dir,
                                    const char *open_line)
{
    static const char line[] = "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n";
    bool was_taken = true;
    int joined_count = 0;
    for (int look = 0; was_taken; look++) {
        store_dir_write(dir, KV_LOG_NAME, "", 0);
        kvstore *store = open_plain(dir);
        must_set(store, "a", "1");
        uint64_t offset = store_dir_file_size(dir, KV_LOG_NAME);
        store_dir_append(dir, KV_LOG_NAME, open_line, strlen(open_line));
        pass_the_check_interval();

        was_taken = append_at_look(dir, store, line, look);

        size_t size = 0;
        char *bytes = store_dir_read(dir, KV_LOG_NAME, &size);
        const char *joined = bytes + offset + strlen(open_line);
        bool is_joined = size > offset + strlen(open_line) + strlen(line) &&
                         strncmp(joined, line, strlen(line)) == 0;
        free(bytes);
        kvstore *other = open_plain(dir);
        assert_int_equal(checked_stats(other).damaged_records,
                         is_joined ? 1 : 0);
        assert_true(was_taken || !is_joined);
        if (was_taken && !is_joined) {
            assert_value(other, "b", "2");
        }
        joined_count += is_joined ? 1 : 0;
        assert_value(store, "a", "1");
        assert_value(store, "c", "3");
        assert_value(other, "c", "3");
        assert_int_equal(count_cut_files(dir), 0);
        kvstore_close(other);
        kvstore_close(store);
    }
    assert_true(joined_count >= 1);
}

static void line_joined_to_another_is_damage(void **state)
{
    assert_joined_is_damage(*state, "{\"Set\":{\"key\":\"x");
    assert_joined_is_damage(*state, "{\"Set\":{\"key\":\"x\",\"val\":\"0\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(line_appended_by_hand_is_read_after_the_next_write),
        STORE_TEST(replaced_log_is_the_store),
        STORE_TEST(deleted_log_is_an_error),
        STORE_TEST(truncated_log_is_folded_anew),
        STORE_TEST(line_appended_at_any_moment_of_a_write_is_kept),
        STORE_TEST(missing_newline_added_by_another_is_no_torn_tail),
        STORE_TEST(line_joined_to_another_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
