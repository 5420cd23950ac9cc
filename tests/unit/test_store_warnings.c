/* SPDX-License-Identifier: MIT */

/* Is a program told, as kvstore.h promises, what the library does on its own? */

#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/warnings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* What was told, and what the program did then. */
static struct {
    kvstore *store; /* NULL: it has none yet. */
    int count;
    char last[512];
    bool is_within;
} told;

/* No lock is held: each call works, and is not told of anything meanwhile. */
static void use_store(kvstore *store)
{
    must_set(store, "told", "1");
    assert_value(store, "told", "1");
    assert_int_equal(try_get(store, ""), KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
    must_remove(store, "told");
}

static void take_warning(void *context, const char *message)
{
    assert_ptr_equal(context, &told);
    assert_false(told.is_within);
    told.is_within = true;
    told.count++;
    (void)snprintf(told.last, sizeof told.last, "%s", message);
    assert_null(strchr(message, '\n'));
    if (told.store != NULL) {
        use_store(told.store);
    }
    told.is_within = false;
}

static kvstore *open_told(const struct store_dir *dir, int compaction)
{
    kvstore_options options = plain_options();
    options.compaction = compaction;
    options.compaction_threshold = 1000;
    options.compaction_percent = 1;
    options.warning = take_warning;
    options.warning_context = &told;
    told.count = 0;
    told.store = NULL;
    told.store = open_with(dir, &options);
    return told.store;
}

static void close_told(void)
{
    kvstore *store = told.store;
    told.store = NULL; /* It may not be used any more. */
    kvstore_close(store);
}

/* The last call has told one thing, which has this text. */
static void assert_told(const char *text)
{
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(told.last, text));
    told.count = 0;
}

static void append_text(const struct store_dir *dir, const char *text)
{
    store_dir_append(dir, KV_LOG_NAME, text, strlen(text));
}

/* --- A tail that is saved --- */

static void saved_tail_is_told(void **state)
{
    const struct store_dir *dir = *state;
    char name[64];
    make_known(dir);
    (void)snprintf(name,
                   sizeof name,
                   "store.log.cut-%ju",
                   (uintmax_t)store_dir_file_size(dir, KV_LOG_NAME));
    append_text(dir, "two lines\nof something");
    kvstore *store = open_told(dir, KVSTORE_COMPACT_MANUAL);
    assert_int_equal(told.count, 0);

    must_set(store, "new", "1");

    assert_told(name);
    assert_non_null(strstr(told.last, "last 22 bytes"));
    assert_true(store_dir_has(dir, name));
    must_set(store, "new", "2");
    assert_int_equal(told.count, 0);
    close_told();
}

static void unfinished_write_is_not_told(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    append_text(dir, "{\"Set\":{\"key\":\"k\",\"val\":\"unfi");
    kvstore *store = open_told(dir, KVSTORE_COMPACT_MANUAL);

    must_set(store, "new", "1");

    assert_int_equal(told.count, 0);
    close_told();
}

/* What a call told is no failure of that call. */
static void last_error_stays(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    append_text(dir, "two lines\nof something");
    kvstore *store = open_told(dir, KVSTORE_COMPACT_MANUAL);
    char value[2];
    size_t size = 0;
    assert_int_equal(
        kvstore_get_into(store, "key-1", 5, value, sizeof value, &size),
        KVSTORE_TOO_LARGE);

    must_set(store, "new", "1");

    assert_int_equal(told.count, 1);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_TOO_LARGE);
    close_told();
}

/* --- An index that is not true --- */

static void index_that_lies_is_told(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *store = open_told(dir, KVSTORE_COMPACT_MANUAL);
    struct stored_slot slot = find_slot(dir, "key-1");
    slot.entry.pointer.offset += 3;
    store_slot(dir, &slot);

    assert_int_equal(try_get(store, "key-1"), KVSTORE_OK);

    assert_told("index was not true");
    assert_int_equal(try_get(store, "key-1"), KVSTORE_OK);
    assert_int_equal(told.count, 0);
    close_told();
}

/* Counts that were made smaller are met by the first open that folds. */
static void open_tells(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    append_by_hand(dir, "1");
    store_header_word(dir, HEADER_AT(end), 0);

    (void)open_told(dir, KVSTORE_COMPACT_MANUAL);

    assert_told("index was not true");
    close_told();
}

/* A cache that is gone, that is not of this log any more, or whose writer was
 * killed, is built anew as a matter of course. */
static void rebuilt_index_is_not_told(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    kvstore *store = open_told(dir, KVSTORE_COMPACT_MANUAL);
    must_set(store, "new", "1");
    assert_int_equal(told.count, 0);
    close_told();

    store_dir_truncate(
        dir, KV_LOG_NAME, store_dir_file_size(dir, KV_LOG_NAME) - 60);
    store = open_told(dir, KVSTORE_COMPACT_MANUAL);
    must_set(store, "new", "1");
    assert_int_equal(told.count, 0);
    close_told();

    store_header_word(dir, HEADER_AT(writing), KV_TABLE_PUBLISHING);
    store = open_told(dir, KVSTORE_COMPACT_MANUAL);
    must_set(store, "new", "1");
    assert_int_equal(told.count, 0);
    close_told();
}

/* --- A compaction that fails --- */

/* A directory in the place of the new log. */
static void hinder_compaction(const struct store_dir *dir)
{
    assert_int_equal(mkdir(store_dir_path(dir, KV_LOG_COMPACT_NAME), 0700), 0);
}

static void failed_inline_compaction_is_told(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    hinder_compaction(dir);
    kvstore *store = open_told(dir, KVSTORE_COMPACT_INLINE);

    must_set(store, "key-1", "1");

    assert_told("compaction that was due has failed: cannot remove");
    must_set(store, "new", "1");
    assert_int_equal(told.count, 0);
    close_told();
}

static void failed_background_compaction_is_told(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    hinder_compaction(dir);
    kvstore *store = open_told(dir, KVSTORE_COMPACT_BACKGROUND);

    must_set(store, "key-1", "1");
    close_told();

    assert_told("compaction that was due has failed: cannot remove");
}

static void failed_call_is_not_told_twice(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    hinder_compaction(dir);
    kvstore *store = open_told(dir, KVSTORE_COMPACT_MANUAL);

    assert_int_equal(kvstore_compact(store), KVSTORE_COMPACTION_FAILED);

    assert_int_equal(told.count, 0);
    close_told();
}

/* --- The queue --- */

static void count_text(void *context, const char *message)
{
    (void)message;
    ++*(int *)context;
}

static void queue_is_bounded(void **state)
{
    struct kv_warnings warnings;
    int count = 0;
    (void)state;
    kv_warnings_init(&warnings, count_text, &count);
    for (unsigned i = 0; i < 3 * KV_WARNINGS_MAX; i++) {
        kv_warnings_note(&warnings, "%u", i / 2);
    }

    kv_warnings_tell(&warnings);

    assert_int_equal(count, KV_WARNINGS_MAX);
    kv_warnings_tell(&warnings);
    assert_int_equal(count, KV_WARNINGS_MAX);
    assert_false(atomic_load(&warnings.are_due));
    kv_warnings_destroy(&warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(saved_tail_is_told),
        STORE_TEST(unfinished_write_is_not_told),
        STORE_TEST(last_error_stays),
        STORE_TEST(index_that_lies_is_told),
        STORE_TEST(open_tells),
        STORE_TEST(rebuilt_index_is_not_told),
        STORE_TEST(failed_inline_compaction_is_told),
        STORE_TEST(failed_background_compaction_is_told),
        STORE_TEST(failed_call_is_not_told_twice),
        cmocka_unit_test(queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
