/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: arguments, bounds,
 * options and statuses. */

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "record/plan.h"
#include "store/store.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GIBIBYTE ((size_t)1 << 30)

static void assert_last_error(kvstore_status status, int system_errno)
{
    const kvstore_error *error = kvstore_last_error();
    assert_int_equal(error->status, status);
    assert_int_equal(error->system_errno, system_errno);
    assert_true(error->message[0] != '\0');
}

static kvstore_status try_open(const struct store_dir *dir,
                               const kvstore_options *options)
{
    kvstore *store = (kvstore *)(uintptr_t)16;
    kvstore_status status = kvstore_open(dir->path, options, &store);
    assert_true((status == KVSTORE_OK) == (store != NULL));
    kvstore_close(store);
    return status;
}

/* --- Texts --- */

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (int i = KVSTORE_OK; i <= KVSTORE_UNSUPPORTED; i++) {
        const char *text = kvstore_strerror((kvstore_status)i);
        assert_true(strlen(text) > 3);
        assert_string_not_equal(text, kvstore_strerror((kvstore_status)99));
    }
    assert_string_equal(kvstore_version(), KVSTORE_VERSION);
}

/* --- Opening --- */

static void default_options_are_zero(void **state)
{
    (void)state;
    kvstore_options options;
    kvstore_options zero;
    memset(&options, 0xff, sizeof options);
    memset(&zero, 0, sizeof zero);
    zero.size = sizeof zero;

    kvstore_options_init(&options);
    kvstore_options_init(NULL);

    assert_int_equal(options.size, zero.size);
    assert_int_equal(options.sync, KVSTORE_SYNC_ALWAYS);
    assert_int_equal(options.compaction, KVSTORE_COMPACT_BACKGROUND);
    assert_false(options.exclusive || options.read_only || options.no_create);
    assert_int_equal(options.lock_timeout_ms, 0);
    assert_int_equal(options.compaction_threshold, 0);
    assert_int_equal(options.compaction_percent, 0);
    assert_memory_equal(options.reserved, zero.reserved, sizeof zero.reserved);
}

static void open_without_arguments_is_invalid(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = (kvstore *)(uintptr_t)16;

    assert_int_equal(kvstore_open(NULL, NULL, &store), KVSTORE_INVALID);
    assert_null(store);
    assert_int_equal(kvstore_open("", NULL, &store), KVSTORE_INVALID);
    assert_int_equal(kvstore_open(dir->path, NULL, NULL), KVSTORE_INVALID);
    assert_last_error(KVSTORE_INVALID, 0);
    assert_int_equal(kvstore_last_error()->offset, UINT64_MAX);
    assert_false(store_dir_has(dir, KV_LOG_NAME));
    kvstore_close(NULL);
}

static void store_that_is_made_leaves_no_error(void **state)
{
    const struct store_dir *dir = *state;
    char path[300];
    kvstore *store = NULL;
    (void)snprintf(path, sizeof path, "%s/new/store", dir->path);
    assert_int_equal(kvstore_open(NULL, NULL, &store), KVSTORE_INVALID);

    assert_int_equal(kvstore_open(path, NULL, &store), KVSTORE_OK);

    assert_last_error(KVSTORE_INVALID, 0);
    kvstore_close(store);
}

static void assert_invalid(const struct store_dir *dir,
                           const kvstore_options *options)
{
    assert_int_equal(try_open(dir, options), KVSTORE_INVALID);
    assert_false(store_dir_has(dir, KV_LOG_NAME));
}

static void options_out_of_bounds_are_invalid(void **state)
{
    const struct store_dir *dir = *state;
    const kvstore_options good = KVSTORE_OPTIONS_INIT;
    kvstore_options bad = good;
    bad.size = sizeof bad - 1;
    assert_invalid(dir, &bad);
    bad.size = offsetof(kvstore_options, warning) - 1;
    assert_invalid(dir, &bad);
    bad.size = SIZE_MAX;
    assert_invalid(dir, &bad);
    bad = good;
    bad.sync = 2;
    assert_invalid(dir, &bad);
    bad.sync = -1;
    assert_invalid(dir, &bad);
    bad = good;
    bad.compaction = 3;
    assert_invalid(dir, &bad);
    bad.compaction = -1;
    assert_invalid(dir, &bad);
    bad = good;
    bad.lock_timeout_ms = -2;
    assert_invalid(dir, &bad);
    bad = good;
    bad.compaction_percent = 101;
    assert_invalid(dir, &bad);
    for (size_t i = 0; i < 9; i++) {
        bad = good;
        bad.reserved[i] = 1;
        assert_invalid(dir, &bad);
    }
}

static void options_at_their_bounds_are_taken(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.size = 0;
    options.lock_timeout_ms = INT32_MAX;
    options.compaction_percent = 100;
    options.compaction_threshold = UINT64_MAX;
    assert_int_equal(try_open(dir, &options), KVSTORE_OK);
    options.lock_timeout_ms = -1;
    options.compaction_percent = 1;
    options.compaction_threshold = 1;
    assert_int_equal(try_open(dir, &options), KVSTORE_OK);
}

/* Of programs that were built with an older header, or with a newer one and ask
 * for nothing that this version lacks. */
static void options_of_other_versions_are_taken(void **state)
{
    const struct store_dir *dir = *state;
    struct {
        kvstore_options options;
        uint64_t more[2];
    } newer = {.options = plain_options()};
    newer.options.size = sizeof newer;
    newer.more[1] = 1;
    assert_invalid(dir, &newer.options);
    newer.more[1] = 0;
    assert_int_equal(try_open(dir, &newer.options), KVSTORE_OK);

    kvstore_options older = plain_options();
    older.size = offsetof(kvstore_options, warning);
    memset(&older.warning, 0xff, sizeof older - older.size);
    assert_int_equal(try_open(dir, &older), KVSTORE_OK);
}

static void open_makes_a_private_directory_and_log(void **state)
{
    const struct store_dir *dir = *state;
    char path[512];
    (void)snprintf(path, sizeof path, "%s", store_dir_path(dir, "sub"));
    kvstore *store = NULL;
    struct stat stat_of;

    assert_int_equal(kvstore_open(path, NULL, &store), KVSTORE_OK);

    kvstore_close(store);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0700);
    assert_int_equal(stat(store_dir_path(dir, "sub/store.log"), &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0600);
    assert_int_equal(stat_of.st_size, 0);
    assert_int_equal(unlink(store_dir_path(dir, "sub/store.log")), 0);
    assert_int_equal(unlink(store_dir_path(dir, "sub/store.index")), 0);
}

static void no_create_and_read_only_create_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    kvstore *store = NULL;
    options.no_create = true;
    assert_int_equal(try_open(dir, &options), KVSTORE_IO);
    assert_last_error(KVSTORE_IO, ENOENT);
    assert_int_equal(kvstore_open(store_dir_path(dir, "sub"), &options, &store),
                     KVSTORE_IO);
    assert_last_error(KVSTORE_IO, ENOENT);
    options.no_create = false;
    options.read_only = true;
    assert_int_equal(try_open(dir, &options), KVSTORE_IO);
    assert_last_error(KVSTORE_IO, ENOENT);
    assert_false(store_dir_has(dir, KV_LOG_NAME));
    assert_false(store_dir_has(dir, "sub"));

    store_dir_write(dir, KV_LOG_NAME, "", 0);
    assert_int_equal(try_open(dir, &options), KVSTORE_OK);
    options.no_create = true;
    assert_int_equal(try_open(dir, &options), KVSTORE_OK);
}

static void path_that_is_no_directory_is_an_io_error(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = NULL;
    store_dir_write(dir, "file", "", 0);
    assert_int_equal(kvstore_open(store_dir_path(dir, "file"), NULL, &store),
                     KVSTORE_IO);
    assert_last_error(KVSTORE_IO, ENOTDIR);
    assert_int_equal(mkdir(store_dir_path(dir, KV_LOG_NAME), 0700), 0);
    assert_int_equal(try_open(dir, NULL), KVSTORE_IO);
}

static void opening_changes_no_byte(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "torn\ntail\n{\"Set\":");
    store_dir_write_log(dir, &text);

    kvstore *store = open_plain(dir);
    assert_value(store, "a", "1");
    kvstore_close(store);

    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void read_only_handle_reads_and_refuses_writes(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_chop(&text, 1);
    store_dir_write_log(dir, &text);
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = true;
    options.exclusive = true;
    kvstore *store = open_with(dir, &options);

    assert_value(store, "a", "1");
    assert_int_equal(try_set(store, "a", "2"), KVSTORE_READ_ONLY);
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_READ_ONLY);
    assert_int_equal(kvstore_compact(store), KVSTORE_READ_ONLY);
    assert_last_error(KVSTORE_READ_ONLY, 0);

    assert_int_equal(kvstore_sync(store), KVSTORE_OK);
    kvstore_close(store);
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

/* --- Arguments --- */

static void null_arguments_are_invalid(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    void *value = store;
    size_t size = 1;
    char buffer[4];
    kvstore_stats stats;

    assert_int_equal(kvstore_set(NULL, "a", 1, "b", 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_set(store, NULL, 1, "b", 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_set(store, "a", 1, NULL, 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_get(NULL, "a", 1, &value, &size), KVSTORE_INVALID);
    assert_null(value);
    assert_int_equal(size, 0);
    assert_int_equal(kvstore_get(store, NULL, 1, &value, &size),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_get(store, "a", 1, NULL, &size), KVSTORE_INVALID);
    assert_int_equal(kvstore_get(store, "a", 1, &value, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_get_into(NULL, "a", 1, buffer, 4, &size),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_get_into(store, NULL, 1, buffer, 4, &size),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_get_into(store, "a", 1, NULL, 4, &size),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_get_into(store, "a", 1, buffer, 4, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_remove(NULL, "a", 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_remove(store, NULL, 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_compact(NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_sync(NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_get_stats(NULL, &stats), KVSTORE_INVALID);
    assert_int_equal(kvstore_get_stats(store, NULL), KVSTORE_INVALID);
    assert_last_error(KVSTORE_INVALID, 0);
    kvstore_set_compaction_threshold(NULL, 1);
    kvstore_free(NULL);

    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
    kvstore_close(store);
}

static void keys_of_1_to_65535_bytes_are_taken(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    char *key = calloc(1, 65537);
    void *value = NULL;
    size_t size = 0;
    assert_non_null(key);
    memset(key, 'k', 65536);
    static const size_t bad[] = {0, 65536, SIZE_MAX};
    static const size_t good[] = {1, 2, 65535};

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kvstore_set(store, key, bad[i], "v", 1),
                         KVSTORE_INVALID_KEY);
        assert_int_equal(kvstore_remove(store, key, bad[i]),
                         KVSTORE_INVALID_KEY);
        assert_int_equal(kvstore_get(store, key, bad[i], &value, &size),
                         KVSTORE_INVALID_KEY);
        assert_int_equal(kvstore_get_into(store, key, bad[i], NULL, 0, &size),
                         KVSTORE_INVALID_KEY);
        assert_last_error(KVSTORE_INVALID_KEY, 0);
    }
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kvstore_set(store, key, good[i], key, good[i]),
                         KVSTORE_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kvstore_get(store, key, good[i], &value, &size),
                         KVSTORE_OK);
        assert_int_equal(size, good[i]);
        assert_memory_equal(value, key, size);
        kvstore_free(value);
    }
    free(key);
    kvstore_close(store);
}

/* The value is never read: there are not that many bytes after the pointer. */
static void value_over_its_limit_is_refused_unread(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    char *small = malloc(1);
    assert_non_null(small);

    assert_int_equal(kvstore_set(store, "a", 1, small, GIBIBYTE + 1),
                     KVSTORE_TOO_LARGE);
    assert_int_equal(kvstore_set(store, "a", 1, small, SIZE_MAX),
                     KVSTORE_TOO_LARGE);

    assert_last_error(KVSTORE_TOO_LARGE, 0);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
    free(small);
    kvstore_close(store);
}

static void empty_value_is_a_value(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    assert_int_equal(kvstore_set(store, "a", 1, NULL, 0), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "b", 1, "x", 0), KVSTORE_OK);

    assert_value(store, "a", "");
    assert_value(store, "b", "");
    size_t size = 9;
    assert_int_equal(kvstore_get_into(store, "a", 1, NULL, 0, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 0);
    assert_int_equal(checked_stats(store).keys, 2);
    kvstore_close(store);
}

/* --- Setting, getting, removing --- */

static void log_holds_exactly_the_promised_lines(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = open_with(dir, &options);
    must_set(store, "user", "Alice");
    must_set(store, "\xff\xfe", "x");
    must_set(store, "user", "Bob and a longer text \"\\\n\x01");
    must_remove(store, "user");
    kvstore_close(store);

    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(
        &text,
        "{\"Set\":{\"key\":\"user\",\"val\":\"Alice\",\"sum\":\"b2fd84ab\"}}\n"
        "{\"Set\":{\"key64\":\"//4=\",\"val\":\"x\",\"sum\":\"0fbe0faf\"}}\n");
    log_text_set(&text, "user", "Bob and a longer text \\\"\\\\\\n\\u0001");
    log_text_add(&text,
                 "{\"Remove\":{\"key\":\"user\",\"sum\":\"515c8fa6\"}}\n");
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void missing_key_is_an_answer_not_an_error(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    void *value = store;
    size_t size = 1;
    assert_int_equal(kvstore_sync(NULL), KVSTORE_INVALID);

    assert_int_equal(kvstore_get(store, "a", 1, &value, &size),
                     KVSTORE_NOT_FOUND);
    assert_null(value);
    assert_int_equal(size, 0);
    size = 1;
    assert_int_equal(kvstore_get_into(store, "a", 1, NULL, 0, &size),
                     KVSTORE_NOT_FOUND);
    assert_int_equal(size, 0);
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_NOT_FOUND);

    assert_last_error(KVSTORE_INVALID, 0);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
    kvstore_close(store);
}

static void removed_key_is_absent_and_can_come_back(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    must_remove(store, "a");
    assert_absent(store, "a");
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);

    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_NOT_FOUND);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    must_set(store, "a", "2");

    assert_value(store, "a", "2");
    kvstore_close(store);
}

static void acknowledged_is_there_after_opening_again(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_with(dir, NULL);
    must_set(store, "a", "1");
    must_set(store, "b", "2");
    must_remove(store, "a");
    assert_int_equal(kvstore_sync(store), KVSTORE_OK);
    kvstore_close(store);

    store = open_with(dir, NULL);

    assert_absent(store, "a");
    assert_value(store, "b", "2");
    kvstore_close(store);
}

static void too_small_a_buffer_is_left_alone(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    char buffer[8] = "untouch";
    size_t size = 0;
    must_set(store, "a", "12345");

    assert_int_equal(kvstore_get_into(store, "a", 1, NULL, 0, &size),
                     KVSTORE_TOO_LARGE);
    assert_int_equal(size, 5);
    size = 0;
    assert_int_equal(kvstore_get_into(store, "a", 1, buffer, 4, &size),
                     KVSTORE_TOO_LARGE);
    assert_int_equal(size, 5);
    assert_memory_equal(buffer, "untouch", 8);
    assert_int_equal(kvstore_get_into(store, "a", 1, buffer, 5, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(buffer, "12345ch", 8);
    kvstore_close(store);
}

static void value_is_followed_by_one_nul(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_set(store, "a", 1, "1\0002\xff", 4), KVSTORE_OK);

    assert_int_equal(kvstore_get(store, "a", 1, &value, &size), KVSTORE_OK);

    assert_int_equal(size, 4);
    assert_memory_equal(value, "1\0002\xff", 5);
    kvstore_free(value);
    kvstore_close(store);
}

/* --- Newer versions --- */

static void store_of_a_newer_version_can_only_be_read(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t unknown = log_text_unknown(&text, "b");
    log_text_set(&text, "c", "3");
    store_dir_write_log(dir, &text);
    kvstore *store = open_plain(dir);

    assert_value(store, "a", "1");
    assert_value(store, "c", "3");
    assert_int_equal(try_get(store, "b"), KVSTORE_UNSUPPORTED);
    assert_int_equal(kvstore_last_error()->offset, unknown);
    assert_int_equal(try_set(store, "a", "2"), KVSTORE_UNSUPPORTED);
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_UNSUPPORTED);
    assert_int_equal(kvstore_compact(store), KVSTORE_UNSUPPORTED);
    assert_last_error(KVSTORE_UNSUPPORTED, 0);
    (void)checked_stats(store);

    kvstore_close(store);
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void torn_tail_of_a_newer_version_is_not_cut(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_unknown(&text, "b");
    log_text_add(&text, "what it may mean\nthere");
    store_dir_write_log(dir, &text);
    kvstore *store = open_plain(dir);

    assert_int_equal(try_set(store, "a", "2"), KVSTORE_UNSUPPORTED);

    kvstore_close(store);
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static long type_of_nfs(int fd)
{
    (void)fd;
    return 0x6969;
}

static void network_file_system_is_unsupported(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    table.file_system_type = type_of_nfs;

    kv_io_swap_table(&table);
    kvstore_status status = try_open(dir, NULL);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_UNSUPPORTED);
    assert_false(store_dir_has(dir, KV_LOG_NAME));
}

/* --- Failures --- */

static struct kv_io_table table;

static int failing_fdatasync(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

static ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (size <= 10) {
        errno = ENOSPC;
        return -1;
    }
    return kv_io_system_table()->pwrite(fd, bytes, 10, offset);
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void full_disk_leaves_the_log_as_it_was(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_with(dir, NULL);
    must_set(store, "a", "1");
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    table = *kv_io_system_table();
    table.pwrite = full_pwrite;

    kv_io_swap_table(&table);
    kvstore_status status = try_set(store, "a", "2");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_IO);
    assert_last_error(KVSTORE_IO, ENOSPC);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_value(store, "a", "1");
    must_set(store, "a", "3");
    assert_value(store, "a", "3");
    kvstore_close(store);
}

static void failed_sync_refuses_writes_until_compaction(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_with(dir, NULL);
    must_set(store, "a", "1");
    table = *kv_io_system_table();
    table.fdatasync = failing_fdatasync;

    kv_io_swap_table(&table);
    kvstore_status status = try_set(store, "a", "2");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_IO);
    assert_last_error(KVSTORE_IO, EIO);
    assert_int_equal(try_set(store, "b", "2"), KVSTORE_IO);
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_IO);
    assert_value(store, "a", "1");
    must_compact(store);
    must_set(store, "b", "2");
    assert_value(store, "a", "1");
    assert_value(store, "b", "2");
    kvstore_close(store);
}

/* The kernel reports lost pages once; the next sync would succeed. */
static void sync_that_failed_never_succeeds_again(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    table = *kv_io_system_table();
    table.fdatasync = failing_fdatasync;

    kv_io_swap_table(&table);
    kvstore_status status = kvstore_sync(store);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_IO);
    assert_int_equal(kvstore_sync(store), KVSTORE_IO);
    assert_int_equal(try_set(store, "a", "2"), KVSTORE_IO);
    must_compact(store);
    assert_int_equal(kvstore_sync(store), KVSTORE_OK);
    kvstore_close(store);
}

static void lack_of_memory_changes_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    char value[5000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    must_set(store, "a", value);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    table = *kv_io_system_table();
    table.malloc = no_malloc;

    kv_io_swap_table(&table);
    kvstore_status set = try_set(store, "b", value);
    kvstore_status get = try_get(store, "a");
    kvstore_status compact = kvstore_compact(store);
    kvstore_status open = try_open(dir, NULL);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(set, KVSTORE_NO_MEMORY);
    assert_int_equal(get, KVSTORE_NO_MEMORY);
    assert_int_equal(compact, KVSTORE_NO_MEMORY);
    assert_int_equal(open, KVSTORE_NO_MEMORY);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_value(store, "a", value);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    kvstore_close(store);
}

/* --- What a write reads of the log --- */

static const kvstore *read_store;
static int log_reads;

static ssize_t counted_pread(int fd, void *buffer, size_t size, off_t offset)
{
    log_reads += fd == read_store->log.file.fd ? 1 : 0;
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static void begin_counting(const kvstore *store)
{
    read_store = store;
    log_reads = 0;
    table = *kv_io_system_table();
    table.pread = counted_pread;
    kv_io_swap_table(&table);
}

/* Returns how often the log was read since the beginning. A handle reads the
 * first few records by system calls, so none is missed. */
static int end_counting(void)
{
    kv_io_swap_table(kv_io_system_table());
    return log_reads;
}

static kvstore_status remove_counted(kvstore *store, const char *key)
{
    begin_counting(store);
    kvstore_status status = kvstore_remove(store, key, strlen(key));
    (void)end_counting();
    return status;
}

static void assert_verified(const kvstore *store)
{
    (void)checked_stats(store);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
}

static void remove_of_a_plain_set_reads_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");

    assert_int_equal(remove_counted(store, "a"), KVSTORE_OK);
    assert_int_equal(log_reads, 0);
    assert_int_equal(remove_counted(store, "never"), KVSTORE_NOT_FOUND);
    assert_int_equal(log_reads, 0);

    assert_absent(store, "a");
    assert_verified(store);
    kvstore_close(store);
}

static void remove_of_a_removed_key_reads_that(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    must_remove(store, "a");
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);

    assert_int_equal(remove_counted(store, "a"), KVSTORE_NOT_FOUND);

    assert_true(log_reads > 0);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_verified(store);
    kvstore_close(store);
}

static void remove_of_what_may_expire_reads_it(void **state)
{
    static const kvstore_status expected[] = {KVSTORE_OK, KVSTORE_NOT_FOUND};
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"later\",\"val\":\"1\","
                 "\"expires\":9007199254740991}}\n"
                 "{\"Set\":{\"key\":\"past\",\"val\":\"1\",\"expires\":1}}\n");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    kvstore *store = open_plain(dir);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(remove_counted(store, i == 0 ? "later" : "past"),
                         expected[i]);
        assert_true(log_reads > 0);
    }
    assert_absent(store, "later");
    assert_verified(store);
    kvstore_close(store);
}

/* Longest line that a slot has the length of: with the newline, 4,094 bytes. */
#define SHORT_RECORD 4094

/* Sets a value with which the record has so many bytes. */
static void set_record(kvstore *store, const char *key, size_t size)
{
    static char value[3 * SHORT_RECORD];
    struct kv_record_plan plan = kv_record_plan_set(key, strlen(key), "", 0);
    size_t value_size = size - plan.line_size;
    assert_true(value_size < sizeof value);
    memset(value, 'v', value_size);
    value[value_size] = '\0';
    must_set(store, key, value);
}

static void overwrite_measures_only_what_is_long(void **state)
{
    static const size_t sizes[] = {
        100, SHORT_RECORD, SHORT_RECORD + 1, SHORT_RECORD + 2, 9000};
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t end = store_dir_file_size(dir, KV_LOG_NAME);
        set_record(store, "a", sizes[i]);
        assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME) - end, sizes[i]);
        uint64_t stale = checked_stats(store).stale_bytes;

        begin_counting(store);
        must_set(store, "a", "1");

        assert_int_equal(end_counting() > 0, sizes[i] > SHORT_RECORD);
        assert_int_equal(checked_stats(store).stale_bytes, stale + sizes[i]);
        assert_verified(store);
    }
    kvstore_close(store);
}

/* --- The limit on logs --- */

static void log_that_would_pass_its_limit_is_refused(void **state)
{
    const struct store_dir *dir = *state;
    static const uint64_t limit = UINT64_C(1) << 40;
    static const char line[] = "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n";
    store_dir_write(dir, KV_LOG_NAME, line, sizeof line - 1);
    if (truncate(store_dir_path(dir, KV_LOG_NAME), (off_t)limit - 60) != 0) {
        skip(); /* No file may be as long as that here. */
    }
    store_dir_append(dir, KV_LOG_NAME, line, sizeof line - 1);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    kvstore *store = open_plain(dir);

    assert_int_equal(try_set(store, "b", "2"), KVSTORE_TOO_LARGE);
    assert_int_equal(try_set(store, "a", "2"), KVSTORE_TOO_LARGE);
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_TOO_LARGE);

    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_value(store, "a", "1");
    assert_absent(store, "b");
    must_compact(store);
    must_set(store, "b", "2");
    assert_value(store, "a", "1");
    assert_value(store, "b", "2");
    kvstore_close(store);
}

/* --- An edit in place, under a handle that may not build an index --- */

static kvstore *open_alone(const struct store_dir *dir)
{
    static const char lines[] = "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
                                "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
                                "{\"Remove\":{\"key\":\"c\"}}\n";
    kvstore_options options = plain_options();
    options.read_only = true;
    store_dir_write(dir, KV_LOG_NAME, lines, sizeof lines - 1);
    kvstore *store = open_with(dir, &options);
    assert_false(store_dir_has(dir, "store.index"));
    assert_value(store, "a", "1");
    assert_value(store, "b", "2");
    return store;
}

static void read_only_handle_folds_an_edited_log_anew(void **state)
{
    const struct store_dir *dir = *state;
    static const char other_key[] = "{\"Set\":{\"key\":\"d\",\"val\":\"4\"}}\n";
    kvstore *store = open_alone(dir);
    assert_absent(store, "d");

    store_dir_overwrite(dir,
                        KV_LOG_NAME,
                        sizeof other_key - 1,
                        other_key,
                        sizeof other_key - 1);

    assert_absent(store, "b");
    assert_value(store, "d", "4");
    assert_value(store, "a", "1");
    assert_int_equal(checked_stats(store).keys, 2);
    kvstore_close(store);
}

static void read_only_handle_answers_by_what_a_line_says_now(void **state)
{
    const struct store_dir *dir = *state;
    static const char changed[] = "{\"Set\":{\"key\":\"b\",\"val\":\"9\"}}\n";
    static const char removed[] = "{\"Remove\":{\"key\":\"b\"}}       \n";
    kvstore *store = open_alone(dir);

    store_dir_overwrite(
        dir, KV_LOG_NAME, sizeof changed - 1, changed, sizeof changed - 1);
    assert_value(store, "b", "9");
    assert_int_equal(sizeof removed, sizeof changed);
    store_dir_overwrite(
        dir, KV_LOG_NAME, sizeof changed - 1, removed, sizeof removed - 1);

    assert_absent(store, "b");
    assert_value(store, "a", "1");
    assert_int_equal(checked_stats(store).keys, 1);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_status_has_a_text),
        STORE_TEST(default_options_are_zero),
        STORE_TEST(open_without_arguments_is_invalid),
        STORE_TEST(store_that_is_made_leaves_no_error),
        STORE_TEST(options_out_of_bounds_are_invalid),
        STORE_TEST(options_at_their_bounds_are_taken),
        STORE_TEST(options_of_other_versions_are_taken),
        STORE_TEST(open_makes_a_private_directory_and_log),
        STORE_TEST(no_create_and_read_only_create_nothing),
        STORE_TEST(path_that_is_no_directory_is_an_io_error),
        STORE_TEST(opening_changes_no_byte),
        STORE_TEST(read_only_handle_reads_and_refuses_writes),
        STORE_TEST(null_arguments_are_invalid),
        STORE_TEST(keys_of_1_to_65535_bytes_are_taken),
        STORE_TEST(value_over_its_limit_is_refused_unread),
        STORE_TEST(empty_value_is_a_value),
        STORE_TEST(log_holds_exactly_the_promised_lines),
        STORE_TEST(missing_key_is_an_answer_not_an_error),
        STORE_TEST(removed_key_is_absent_and_can_come_back),
        STORE_TEST(acknowledged_is_there_after_opening_again),
        STORE_TEST(too_small_a_buffer_is_left_alone),
        STORE_TEST(value_is_followed_by_one_nul),
        STORE_TEST(store_of_a_newer_version_can_only_be_read),
        STORE_TEST(torn_tail_of_a_newer_version_is_not_cut),
        STORE_TEST(network_file_system_is_unsupported),
        STORE_TEST(full_disk_leaves_the_log_as_it_was),
        STORE_TEST(failed_sync_refuses_writes_until_compaction),
        STORE_TEST(sync_that_failed_never_succeeds_again),
        STORE_TEST(lack_of_memory_changes_nothing),
        STORE_TEST(remove_of_a_plain_set_reads_nothing),
        STORE_TEST(remove_of_a_removed_key_reads_that),
        STORE_TEST(remove_of_what_may_expire_reads_it),
        STORE_TEST(overwrite_measures_only_what_is_long),
        STORE_TEST(log_that_would_pass_its_limit_is_refused),
        STORE_TEST(read_only_handle_folds_an_edited_log_anew),
        STORE_TEST(read_only_handle_answers_by_what_a_line_says_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
