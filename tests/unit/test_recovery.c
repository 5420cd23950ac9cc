/* SPDX-License-Identifier: MIT */

/* Do index/build.c and log/mend.c do what their headers promise? */

#include "index/build.h"
#include "log/mend.h"
#include "os/directory.h"
#include "os/error.h"
#include "store_dir.h"

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

static struct kv_log open_log(const struct store_dir *dir)
{
    struct kv_log log;
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    return log;
}

/* Folds the log and mends its end, as the next writer does. */
static struct kv_fold_result recover(const struct store_dir *dir)
{
    struct kv_log log = open_log(dir);
    struct kv_index index;
    struct kv_fold_result result;
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    assert_int_equal(kv_build_index(&log, size, NULL, NULL, &index, &result),
                     KVSTORE_OK);
    char saved[KV_CUT_NAME_SIZE];
    assert_int_equal(kv_mend_end(&log, &dir->directory, size, &result, saved),
                     KVSTORE_OK);
    assert_true(saved[0] == '\0' || store_dir_has(dir, saved));
    assert_int_equal(index.totals.applied,
                     store_dir_file_size(dir, KV_LOG_NAME));
    kv_index_release(&index);
    kv_log_close(&log);
    return result;
}

static void build_of_an_empty_log_is_empty(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    struct kv_log log = open_log(dir);
    struct kv_index index;
    struct kv_fold_result result;

    assert_int_equal(kv_build_index(&log, 0, NULL, NULL, &index, &result),
                     KVSTORE_OK);

    assert_int_equal(index.totals.applied, 0);
    assert_int_equal(index.totals.counts.keys, 0);
    assert_false(result.is_torn || result.is_unterminated);
    kv_index_release(&index);
    kv_log_close(&log);
}

static void catching_up_equals_building(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_damaged_set(&text, "b", "1");
    size_t middle = log_text_set(&text, "a", "2");
    log_text_remove(&text, "a");
    log_text_add(&text, "\n");
    log_text_set(&text, "c", "1");
    store_dir_write_log(dir, &text);
    struct kv_log log = open_log(dir);
    struct kv_index built;
    struct kv_index caught_up;
    struct kv_fold_result result;

    assert_int_equal(
        kv_build_index(&log, middle, NULL, NULL, &caught_up, &result),
        KVSTORE_OK);
    bool is_whole = false;
    assert_int_equal(
        kv_build_catch_up(&log, text.size, NULL, false, &caught_up, &is_whole),
        KVSTORE_OK);
    assert_true(is_whole);

    assert_int_equal(
        kv_build_index(&log, text.size, NULL, NULL, &built, &result),
        KVSTORE_OK);
    assert_memory_equal(&built.totals, &caught_up.totals, sizeof built.totals);
    assert_int_equal(caught_up.totals.applied, text.size);
    kv_index_release(&built);
    kv_index_release(&caught_up);
    kv_log_close(&log);
    log_text_release(&text);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(int *)context)++;
}

static int count_temporaries(const struct store_dir *dir)
{
    int count = 0;
    assert_int_equal(
        kv_io_list(&dir->directory, "store.index.", ".tmp", count_name, &count),
        KVSTORE_OK);
    return count;
}

static void build_in_a_directory_has_no_name(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    store_dir_write_log(dir, &text);
    struct kv_log log = open_log(dir);
    struct kv_log closed = log;
    struct kv_index index;
    struct kv_fold_result result;

    assert_int_equal(
        kv_build_index(&log, text.size, NULL, &dir->directory, &index, &result),
        KVSTORE_OK);

    assert_int_equal(index.totals.counts.keys, 1);
    assert_false(index.is_in_use);
    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    assert_int_equal(count_temporaries(dir), 1);
    kv_index_release(&index);
    assert_int_equal(count_temporaries(dir), 0);
    closed.file.fd = -1;
    assert_int_equal(
        kv_build_index(&closed, 3, NULL, &dir->directory, &index, &result),
        KVSTORE_IO);
    assert_int_equal(count_temporaries(dir), 0);
    kv_log_close(&log);
    log_text_release(&text);
}

static void failed_build_leaves_no_index(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "{}\n", 3);
    struct kv_log log = open_log(dir);
    struct kv_log closed = {.file = {.fd = -1, .name = "store.log"}};
    struct kv_index index;
    struct kv_fold_result result;

    assert_int_equal(kv_build_index(&closed, 3, NULL, NULL, &index, &result),
                     KVSTORE_IO);

    assert_null(index.memory.region);
    kv_log_close(&log);
}

static void whole_log_is_left_alone(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "garbage\n\n");
    log_text_set(&text, "b", "1");
    log_text_add(&text, "\n \n");
    store_dir_write_log(dir, &text);

    recover(dir);

    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void torn_last_line_is_cut(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t torn = log_text_set(&text, "b", "1");
    log_text_chop(&text, 7);
    store_dir_write_log(dir, &text);

    recover(dir);

    text.size = torn;
    store_dir_assert_log(dir, &text);
    char name[64];
    (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);
    assert_false(store_dir_has(dir, name));
    log_text_release(&text);
}

static void torn_line_with_its_newline_is_saved(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "garbage\n\n \r\t\n", 13);

    recover(dir);

    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
    assert_true(store_dir_has(dir, "store.log.cut-0"));
}

/* It may be a whole line that has rotted, or what a power cut has left of
 * one. */
static void line_behind_a_lost_sector_is_saved_if_it_may_be_whole(void **state)
{
    static const struct {
        const char *line;
        bool is_saved;
    } rows[] = {
        {"{\"Set\":{\"key\":\"b\",\"val\":\"2\",\"sum\":\"0\"}}\n", true},
        {" {} \n\n", true},
        {"x{\"Set\":{\"key\":\"b\"}}\n", false},
        {"{\"Set\":{\"key\":\"b\",\n", false},
        {"{\"Set\":{\"key\":\"b\"}}", false}};
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "a", "1");
        size_t torn = text.size;
        log_text_fill(&text, '\0', 512 - text.size);
        log_text_add(&text, rows[i].line);
        store_dir_write_log(dir, &text);
        char name[64];
        (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);

        recover(dir);

        assert_int_equal(store_dir_has(dir, name), rows[i].is_saved);
        if (rows[i].is_saved) {
            store_dir_assert_file(
                dir, name, text.bytes + torn, text.size - torn);
            assert_int_equal(kv_io_unlink(&dir->directory, name), KVSTORE_OK);
        }
        text.size = torn;
        store_dir_assert_log(dir, &text);
        log_text_release(&text);
    }
}

/* The end of a log that is not a write of ours which was not finished. */
#define WHOLE "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}"
static const struct {
    const char *tail;
    bool is_saved;
} other_tails[] = {
    {WHOLE "\r" WHOLE "\r", true}, /* Lines that end in CR alone. */
    {WHOLE WHOLE, true},           /* No line ends at all. */
    {WHOLE " " WHOLE, true},
    {"{ \"Set\":{\"key\":\"b\"", true},
    {"{\"Set\":{\"val\":\"b\"", true},
    {"{\"Set\":{\"key\":\"b\",\"val\":\"1\",\"note\":\"", true},
    {"{\"Set\":{\"key\":\"b\",\"val\":1", true},
    {"{\"Set\":{\"key\":\"b\tc", true},
    {"{\"Set\":{\"key\":\"b\033[", true},
    {"{\"Remove\":{\"key\":\"b\",\"val\":\"", true},
    {" {\"Set\":{\"key\":\"b\"", true},
    {"key,value", true},
    {"{", false},
    {"{\"Se", false},
    {"{\"Set\":{\"key64\":\"b", false},
    {"{\"Set\":{\"key\":\"b\\\"\\\\\",\"val64\":\"1", false},
    {"{\"Set\":{\"key\":\"\",\"val\":\"\",\"expires\":17", false},
    {"{\"Set\":{\"key\":\"b\",\"val\":\"1\",\"batch\":2,\"sum\":\"0a", false},
    {"{\"Set\":{\"key\":\"b\",\"value\":\"1\",\"sum\":\"0123abcd\"}", false},
    {"{\"Remove\":{\"key\":\"b\",\"sum\":\"", false},
    {"{\"Remove\":{\"key\":\"b\"}", false},
    {"{\"Remove\":{\"key\":\"b\t\t\t\t", false},
    {"\t\"Remove\":{\"key\":\t\t\"b", false}};
#undef WHOLE

static void what_others_wrote_is_saved(void **state)
{
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof other_tails / sizeof *other_tails; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "a", "1");
        size_t torn = text.size;
        log_text_add(&text, other_tails[i].tail);
        store_dir_write_log(dir, &text);
        char name[64];
        (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);

        recover(dir);

        assert_int_equal(store_dir_has(dir, name), other_tails[i].is_saved);
        if (other_tails[i].is_saved) {
            store_dir_assert_file(
                dir, name, text.bytes + torn, text.size - torn);
            assert_int_equal(kv_io_unlink(&dir->directory, name), KVSTORE_OK);
        }
        text.size = torn;
        store_dir_assert_log(dir, &text);
        log_text_release(&text);
    }
}

/* More than any buffer holds. */
static void torn_lines_are_saved_byte_for_byte(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t torn = text.size;
    log_text_fill(&text, 'x', 10000);
    log_text_add(&text, "\n");
    log_text_fill(&text, 'y', 200000);
    log_text_fill(&text, '\0', 4096);
    store_dir_write_log(dir, &text);
    char name[64];
    (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);

    recover(dir);

    store_dir_assert_file(dir, name, text.bytes + torn, text.size - torn);
    text.size = torn;
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void second_line_far_behind_is_seen(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "x\n");
    log_text_fill(&text, '\n', 4093);
    log_text_fill(&text, '\n', 4096);
    log_text_add(&text, "y");
    store_dir_write_log(dir, &text);

    recover(dir);

    store_dir_assert_file(dir, "store.log.cut-0", text.bytes, text.size);
    log_text_release(&text);
}

/* A batch that was never whole says so itself, unless more than its next line
 * follows, or damage is before it. */
static void torn_batch_is_saved_if_it_may_be_more(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        bool is_saved;
    } rows[] = {{"", "", false},
                {"", "{\"Set\":{\"key\":\"c\",\"va", false},
                {"", "\t\"Set\":{\"key\":\"c\"\n", false},
                {"", "garbage\n", true},
                {"", "x\ny", true},
                {"", "\n", false},
                {"garbage\n", "", true},
                {"\n", "", false}};
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "a", "old");
        log_text_add(&text, rows[i].before);
        size_t torn = rows[i].is_saved && rows[i].before[0] != '\0'
                          ? text.size - strlen(rows[i].before)
                          : text.size;
        log_text_batch_set(&text, "a", "1", 3);
        log_text_batch_set(&text, "b", "1", 2);
        log_text_add(&text, rows[i].after);
        store_dir_write_log(dir, &text);
        char name[64];
        (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);

        recover(dir);

        assert_int_equal(store_dir_has(dir, name), rows[i].is_saved);
        if (rows[i].is_saved) {
            store_dir_assert_file(
                dir, name, text.bytes + torn, text.size - torn);
            assert_int_equal(kv_io_unlink(&dir->directory, name), KVSTORE_OK);
        }
        text.size = torn;
        store_dir_assert_log(dir, &text);
        log_text_release(&text);
    }
}

static void taken_name_of_a_cut_is_not_overwritten(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 3; i++) {
        char tail[] = "x0\ny\n";
        tail[1] = (char)('0' + i);
        store_dir_write(dir, KV_LOG_NAME, tail, 5);
        recover(dir);
    }

    store_dir_assert_file(dir, "store.log.cut-0", "x0\ny\n", 5);
    store_dir_assert_file(dir, "store.log.cut-0-1", "x1\ny\n", 5);
    store_dir_assert_file(dir, "store.log.cut-0-2", "x2\ny\n", 5);
}

static void name_of_a_cut_may_be_no_files(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "x\ny\n", 4);
    assert_int_equal(mkfifo(store_dir_path(dir, "store.log.cut-0"), 0600), 0);
    assert_int_equal(mkdir(store_dir_path(dir, "store.log.cut-0-1"), 0700), 0);
    assert_int_equal(
        symlink("elsewhere", store_dir_path(dir, "store.log.cut-0-2")), 0);

    recover(dir);

    store_dir_assert_file(dir, "store.log.cut-0-3", "x\ny\n", 4);
    assert_false(store_dir_has(dir, "elsewhere"));
    assert_int_equal(rmdir(store_dir_path(dir, "store.log.cut-0-1")), 0);
}

static int openat_of_taken_names(int dir_fd,
                                 const char *name,
                                 int flags,
                                 mode_t mode)
{
    if (strncmp(name, "store.log.cut-", 14) == 0) {
        errno = EEXIST;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void thousand_taken_names_are_told(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log;
    char name[KV_CUT_NAME_SIZE];
    store_dir_write(dir, KV_LOG_NAME, "x\ny\n", 4);
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    struct kv_io_table table = *kv_io_system_table();
    table.openat = openat_of_taken_names;

    kv_io_swap_table(&table);
    kvstore_status status = kv_mend_save(&log, &dir->directory, 0, 4, name);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_IO);
    assert_string_equal(kvstore_last_error()->message,
                        "cannot save what is cut off: store.log.cut-0-999 and "
                        "the 999 names before it are taken: File exists");
    store_dir_assert_file(dir, KV_LOG_NAME, "x\ny\n", 4);
    kv_log_close(&log);
}

static void saved_cut_has_the_mode_of_the_log(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "x\ny\n", 4);
    assert_int_equal(chmod(store_dir_path(dir, KV_LOG_NAME), 0640), 0);
    struct kv_io_stat stat;

    recover(dir);

    assert_int_equal(kv_io_stat_name(&dir->directory, "store.log.cut-0", &stat),
                     KVSTORE_OK);
    assert_int_equal(stat.mode, 0640);
}

static void missing_newline_is_added(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t size = text.size;
    text.size--;
    store_dir_write_log(dir, &text);

    recover(dir);

    text.size = size;
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void closed_last_line_is_never_cut(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_damaged_set(&text, "b", "1");
    store_dir_write_log(dir, &text);

    recover(dir);

    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

/* --- The order of steps --- */

static struct kv_io_table table;
static char steps[64];

static void note(char step)
{
    size_t length = strlen(steps);
    if (length < sizeof steps - 1) {
        steps[length] = step;
    }
}

static int noting_ftruncate(int fd, off_t size)
{
    note('t');
    return kv_io_system_table()->ftruncate(fd, size);
}

static int noting_fsync(int fd)
{
    note('s');
    return kv_io_system_table()->fsync(fd);
}

static ssize_t noting_pwrite(int fd,
                             const void *bytes,
                             size_t size,
                             off_t offset)
{
    note('w');
    return kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

static int full_fsync(int fd)
{
    (void)fd;
    errno = ENOSPC;
    return -1;
}

static void cut_is_saved_durably_before_it_is_made(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "x\ny\n", 4);
    table = *kv_io_system_table();
    table.ftruncate = noting_ftruncate;
    table.fsync = noting_fsync;
    table.pwrite = noting_pwrite;
    memset(steps, 0, sizeof steps);

    kv_io_swap_table(&table);
    recover(dir);
    kv_io_swap_table(kv_io_system_table());

    assert_string_equal(steps, "wsst");
}

static void cut_that_cannot_be_saved_is_not_made(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "x\ny\n", 4);
    struct kv_log log = open_log(dir);
    struct kv_fold_result result = {.offset = 0, .is_torn = true};
    table = *kv_io_system_table();
    table.fsync = full_fsync;

    kv_io_swap_table(&table);
    char saved[KV_CUT_NAME_SIZE];
    kvstore_status status =
        kv_mend_end(&log, &dir->directory, 4, &result, saved);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_IO);
    store_dir_assert_file(dir, KV_LOG_NAME, "x\ny\n", 4);
    kv_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(build_of_an_empty_log_is_empty),
        STORE_TEST(catching_up_equals_building),
        STORE_TEST(build_in_a_directory_has_no_name),
        STORE_TEST(failed_build_leaves_no_index),
        STORE_TEST(whole_log_is_left_alone),
        STORE_TEST(torn_last_line_is_cut),
        STORE_TEST(torn_line_with_its_newline_is_saved),
        STORE_TEST(line_behind_a_lost_sector_is_saved_if_it_may_be_whole),
        STORE_TEST(what_others_wrote_is_saved),
        STORE_TEST(torn_lines_are_saved_byte_for_byte),
        STORE_TEST(second_line_far_behind_is_seen),
        STORE_TEST(torn_batch_is_saved_if_it_may_be_more),
        STORE_TEST(taken_name_of_a_cut_is_not_overwritten),
        STORE_TEST(name_of_a_cut_may_be_no_files),
        STORE_TEST(thousand_taken_names_are_told),
        STORE_TEST(saved_cut_has_the_mode_of_the_log),
        STORE_TEST(missing_newline_is_added),
        STORE_TEST(closed_last_line_is_never_cut),
        STORE_TEST(cut_is_saved_durably_before_it_is_made),
        STORE_TEST(cut_that_cannot_be_saved_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
