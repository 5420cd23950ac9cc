/* SPDX-License-Identifier: MIT */

/* Does log/cursor.c split a log where docs/format.md says, however long the
 * lines are? It is linked with a cursor that holds a handful of bytes, and
 * compared with the rule written plainly. */

#include "log/cursor.h"
#include "log/log.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOG_SIZE_MAX 400u

static uint64_t random_state = 0;

/* Returns the same numbers in each run (splitmix64). */
static size_t random_below(size_t bound)
{
    uint64_t mixed = random_state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((mixed ^ mixed >> 31) % bound);
}

/* --- The rule --- */

static size_t plain_length(const char *bytes, size_t size)
{
    size_t i = 0;
    while (i < size && bytes[i] == '\0') {
        i++;
    }
    if (i > 0) {
        return i < size && bytes[i] == '\n' ? i + 1 : i;
    }
    const char *newline = memchr(bytes, '\n', size);
    if (newline == NULL) {
        return size;
    }
    size_t length = (size_t)(newline - bytes) + 1;
    for (i = 1; i < length; i++) {
        if (bytes[i - 1] == '\0' && bytes[i] == '{') {
            return i;
        }
    }
    return length;
}

static bool is_white(const char *bytes, size_t size)
{
    size_t i = 0;
    while (i < size && memchr(" \t\r", bytes[i], 3) != NULL) {
        i++;
    }
    return i == size;
}

static bool may_be_record(const char *bytes, size_t size)
{
    while (size > 0 && is_white(bytes, 1)) {
        bytes++;
        size--;
    }
    while (size > 0 && is_white(bytes + size - 1, 1)) {
        size--;
    }
    return size > 0 && bytes[0] == '{' && bytes[size - 1] == '}' &&
           memchr(bytes, '\0', size) == NULL;
}

/* --- Comparing --- */

static void assert_view(const struct kv_log_view *view,
                        const char *bytes,
                        size_t offset,
                        size_t length)
{
    bool is_terminated = bytes[length - 1] == '\n';
    size_t size = length - (is_terminated ? 1 : 0);
    assert_int_equal(view->pointer.offset, offset);
    assert_int_equal(view->pointer.length, length);
    assert_int_equal(view->is_terminated, is_terminated);
    assert_memory_equal(view->bytes, bytes, view->size);
    if (!view->is_cut) {
        assert_int_equal(view->size, size);
        assert_true(size <= (size_t)3 * KV_LOG_HELD_SIZE ||
                    may_be_record(bytes, size));
        return;
    }
    assert_int_equal(view->size, KV_LOG_HEAD_SIZE);
    assert_true(size >= KV_LOG_HELD_SIZE);
    assert_false(may_be_record(bytes, size));
    assert_int_equal(view->is_blank, is_white(bytes, size));
}

/* Returns how many lines are cut. */
static size_t assert_lines(const struct kv_log *log,
                           const char *bytes,
                           size_t size,
                           size_t window_size)
{
    struct kv_log_cursor cursor;
    struct kv_log_cursor fork;
    struct kv_log_view view;
    size_t cut = 0;
    assert_int_equal(kv_log_cursor_init(&cursor, log, 0, size, window_size),
                     KVSTORE_OK);
    for (size_t offset = 0; offset < size;) {
        size_t length = plain_length(bytes + offset, size - offset);
        assert_int_equal(kv_log_cursor_next(&cursor, &view), KVSTORE_OK);
        assert_view(&view, bytes + offset, offset, length);
        cut += view.is_cut ? 1 : 0;

        /* A fork from there, or from past it, sees the same. */
        size_t from = random_below(2) == 0 ? offset : offset + length;
        assert_int_equal(kv_log_cursor_fork(&cursor, from, window_size, &fork),
                         KVSTORE_OK);
        while (from < size && kv_log_cursor_next(&fork, &view) == KVSTORE_OK) {
            length = plain_length(bytes + from, size - from);
            assert_view(&view, bytes + from, from, length);
            from += random_below(4) == 0 ? size : length;
        }
        kv_log_cursor_release(&fork);
        offset += plain_length(bytes + offset, size - offset);
    }
    assert_int_equal(kv_log_cursor_next(&cursor, &view), KVSTORE_NOT_FOUND);
    kv_log_cursor_release(&cursor);
    return cut;
}

/* --- Holes --- */

/* Stands in for a file system that reports even the smallest holes. */
static const char *file_bytes;
static size_t file_size;
static size_t holes_passed;

static off_t find_data(int fd, off_t offset)
{
    (void)fd;
    size_t at = (size_t)offset;
    while (at < file_size && file_bytes[at] == '\0') {
        at++;
    }
    holes_passed += at > (size_t)offset ? 1 : 0;
    errno = ENXIO;
    return at < file_size ? (off_t)at : -1;
}

static off_t refuse(int fd, off_t offset)
{
    (void)fd;
    (void)offset;
    errno = EINVAL;
    return -1;
}

/* --- Tests --- */

static size_t random_log(char *bytes)
{
    static const char *const pieces[] = {
        "\0", "\0{", "{", "}", "x", "\n", " ", "\0\n", "{}\n", "\"\\u0000"};
    static const size_t sizes[] = {1, 2, 1, 1, 1, 1, 1, 2, 3, 7};
    size_t size = 0;
    size_t wanted = 1 + random_below(LOG_SIZE_MAX - 70);
    size_t choices = 2 + random_below(sizeof sizes / sizeof *sizes - 1);
    while (size < wanted) {
        size_t choice = random_below(choices);
        size_t often = random_below(9) == 0 ? random_below(60) : 1;
        for (; often > 0 && size < wanted; often--) {
            memcpy(bytes + size, pieces[choice], sizes[choice]);
            size += sizes[choice];
        }
    }
    return size;
}

/* Writes in place: some file systems flush a file that replaces another. */
static void write_log(const struct store_dir *dir,
                      const char *bytes,
                      size_t size)
{
    if (!store_dir_has(dir, KV_LOG_NAME)) {
        store_dir_write(dir, KV_LOG_NAME, bytes, size);
        return;
    }
    store_dir_overwrite(dir, KV_LOG_NAME, 0, bytes, size);
    store_dir_truncate(dir, KV_LOG_NAME, size);
}

static void lines_are_what_the_rule_says(void **state)
{
    const struct store_dir *dir = *state;
    static char bytes[LOG_SIZE_MAX];
    struct kv_io_table table = *kv_io_system_table();
    size_t cut = 0;
    random_state = 1;
    holes_passed = 0;
    for (int round = 0; round < 6000; round++) {
        size_t size = random_log(bytes);
        write_log(dir, bytes, size);
        file_bytes = bytes;
        file_size = size;
        table.next_data = random_below(2) == 0 ? find_data : refuse;
        kv_io_swap_table(&table);
        struct kv_log log;
        assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
        size_t end = random_below(3) == 0 ? random_below(size + 1) : size;
        cut += assert_lines(&log, bytes, end, 1 + random_below(60));
        kv_log_close(&log);
    }
    kv_io_swap_table(kv_io_system_table());
    assert_true(cut > 2000);
    assert_true(holes_passed > 1000);
}

/* A file that has become shorter ends there. */
static void lines_end_where_the_file_does(void **state)
{
    const struct store_dir *dir = *state;
    static char bytes[LOG_SIZE_MAX];
    random_state = 2;
    for (int round = 0; round < 1000; round++) {
        size_t size = random_log(bytes);
        write_log(dir, bytes, size);
        struct kv_log log;
        struct kv_log_cursor cursor;
        struct kv_log_view view;
        uint64_t seen = 0;
        assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
        assert_int_equal(kv_log_cursor_init(
                             &cursor, &log, 0, size + 1 + random_below(100), 7),
                         KVSTORE_OK);
        while (kv_log_cursor_next(&cursor, &view) == KVSTORE_OK) {
            assert_int_equal(view.pointer.offset, seen);
            seen += view.pointer.length;
        }
        assert_int_equal(seen, size);
        kv_log_cursor_release(&cursor);
        kv_log_close(&log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(lines_are_what_the_rule_says),
        STORE_TEST(lines_end_where_the_file_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
