/* SPDX-License-Identifier: MIT */

/* Does log/log.c do what its header promises? */

#include "log/cursor.h"
#include "log/line.h"
#include "log/log.h"
#include "log/map.h"
#include "os/bounds.h"
#include "os/error.h"
#include "store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct kv_log open_log(const struct store_dir *dir)
{
    struct kv_log log;
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    return log;
}

static struct kv_log open_log_of(const struct store_dir *dir,
                                 const char *bytes,
                                 size_t size)
{
    store_dir_write(dir, KV_LOG_NAME, bytes, size);
    return open_log(dir);
}

static mode_t mode_of(const struct store_dir *dir, const char *name)
{
    struct stat stat;
    assert_int_equal(lstat(store_dir_path(dir, name), &stat), 0);
    return stat.st_mode & 07777;
}

/* --- The file --- */

static void missing_log_is_not_found_without_an_error(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log;
    (void)kv_fail(KVSTORE_BUSY, "an older error");

    assert_int_equal(kv_log_open(&dir->directory, true, &log),
                     KVSTORE_NOT_FOUND);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
    assert_int_equal(log.file.fd, -1);
}

static void log_is_created_as_open_as_its_directory(void **state)
{
    const struct store_dir *dir = *state;
    static const mode_t modes[][3] = {
        /* Directory, umask, log. */
        {0700, 0022, 0600},
        {0750, 0022, 0640},
        {0777, 0000, 0666},
        {01777, 0000, 0600},
        {0750, 0027, 0640},
        {0755, 0027, 0640},
        {0755, 0077, 0600},
        {0777, 0022, 0664}, /* The group keeps what it shares. */
        {0770, 0077, 0660},
        {02750, 0077, 0640},
        {02755, 0077, 0640},
        {03770, 0000, 0600},
    };
    mode_t before = umask(0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(dir->path, modes[i][0]), 0);
        (void)umask(modes[i][1]);
        struct kv_log log;

        assert_int_equal(kv_log_create(&dir->directory, &log), KVSTORE_OK);

        assert_int_equal(mode_of(dir, KV_LOG_NAME), modes[i][2]);
        assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
        kv_log_close(&log);
        assert_int_equal(log.file.fd, -1);
        assert_int_equal(unlink(store_dir_path(dir, KV_LOG_NAME)), 0);
    }
    (void)umask(before);
}

static int openat_without_proc(int dir_fd,
                               const char *name,
                               int flags,
                               mode_t mode)
{
    if (strncmp(name, "/proc/", 6) == 0) {
        errno = ENOENT;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void umask_that_is_not_told_takes_all(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    struct kv_log log;
    table.openat = openat_without_proc;
    assert_int_equal(chmod(dir->path, 0755), 0);
    (void)kv_fail(KVSTORE_BUSY, "an older error");

    kv_io_swap_table(&table);
    kvstore_status status = kv_log_create(&dir->directory, &log);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(mode_of(dir, KV_LOG_NAME), 0600);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
    kv_log_close(&log);
}

static void created_log_that_is_there_keeps_its_bytes(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "abc\n", 4);
    struct kv_log log;

    assert_int_equal(kv_log_create(&dir->directory, &log), KVSTORE_OK);

    store_dir_assert_file(dir, KV_LOG_NAME, "abc\n", 4);
    kv_log_close(&log);
}

static int counted_fchown(int fd, uid_t owner, gid_t group)
{
    (void)fd;
    (void)owner;
    (void)group;
    fail_msg("%s", "it was given away");
    return -1;
}

/* It may be any user's file, whatever its name. */
static void log_that_appeared_meanwhile_is_not_given_away(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    struct kv_log log;
    table.fchown = counted_fchown;
    store_dir_write(dir, "secret", "abc\n", 4);
    assert_int_equal(chmod(store_dir_path(dir, "secret"), 0600), 0);
    assert_int_equal(
        renameat(dir->directory.fd, "secret", dir->directory.fd, KV_LOG_NAME),
        0);
    assert_int_equal(chmod(dir->path, 0770), 0);

    kv_io_swap_table(&table);
    kvstore_status status = kv_log_create(&dir->directory, &log);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(mode_of(dir, KV_LOG_NAME), 0600);
    kv_log_close(&log);
}

/* Exists whenever it must be created, and is gone before it is opened. */
static int openat_of_a_flicker(int dir_fd,
                               const char *name,
                               int flags,
                               mode_t mode)
{
    if ((flags & O_EXCL) != 0) {
        errno = EEXIST;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void log_that_comes_and_goes_is_busy(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    struct kv_log log;
    table.openat = openat_of_a_flicker;

    kv_io_swap_table(&table);
    kvstore_status status = kv_log_create(&dir->directory, &log);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_BUSY);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
    assert_int_equal(log.file.fd, -1);
}

static void symbolic_link_is_no_log(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, "elsewhere", "", 0);
    assert_int_equal(symlink("elsewhere", store_dir_path(dir, KV_LOG_NAME)), 0);
    struct kv_log log;

    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ELOOP);
}

static void look_tells_the_size_of_the_same_file(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    struct kv_log_place place;
    store_dir_append(dir, KV_LOG_NAME, "two\n", 4);

    assert_int_equal(kv_log_look(&log, &dir->directory, &place), KVSTORE_OK);

    assert_true(place.is_current);
    assert_int_equal(place.size, 8);
    assert_int_equal(place.names, 1);
    kv_log_close(&log);
}

static void look_counts_the_names_of_the_file(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    struct kv_log_place place;
    assert_int_equal(log.names, 1);
    assert_int_equal(
        linkat(dir->directory.fd, KV_LOG_NAME, dir->directory.fd, "other", 0),
        0);

    assert_int_equal(kv_log_look(&log, &dir->directory, &place), KVSTORE_OK);

    assert_int_equal(place.names, 2);
    kv_log_close(&log);
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    assert_int_equal(log.names, 2);
    kv_log_close(&log);
}

static void look_sees_another_file_of_the_name(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    struct kv_log_place place;
    store_dir_write(dir, "other", "two\n", 4);
    assert_int_equal(
        renameat(dir->directory.fd, "other", dir->directory.fd, KV_LOG_NAME),
        0);

    assert_int_equal(kv_log_look(&log, &dir->directory, &place), KVSTORE_OK);

    assert_false(place.is_current);
    kv_log_close(&log);
}

static void look_at_a_deleted_log_fails(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    struct kv_log_place place;
    assert_int_equal(unlink(store_dir_path(dir, KV_LOG_NAME)), 0);

    assert_int_equal(kv_log_look(&log, &dir->directory, &place), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ENOENT);
    assert_false(place.is_current);
    kv_log_close(&log);
}

/* --- One line --- */

static void assert_line(const struct kv_log *log,
                        uint64_t offset,
                        uint64_t end,
                        const char *expected,
                        size_t expected_size)
{
    struct kv_log_line line;
    assert_int_equal(kv_log_read_line(log, offset, end, &line), KVSTORE_OK);
    assert_int_equal(line.size, expected_size);
    assert_int_equal(line.length, expected_size + 1);
    assert_memory_equal(line.bytes, expected, expected_size);
    kv_log_line_release(&line);
}

static void line_ends_with_its_newline_or_the_whole_lines(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n\nthree\n", 11);
    static const uint64_t ends[] = {11, 12, 1000};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        assert_line(&log, 0, ends[i], "one", 3);
        assert_line(&log, 4, ends[i], "", 0);
        assert_line(&log, 5, ends[i], "three", 5);
    }
    assert_line(&log, 0, 4, "one", 3);
    assert_line(&log, 4, 5, "", 0);
    assert_line(&log, 5, 8, "th", 2);
    kv_log_close(&log);
}

static void lines_of_all_sizes_are_read_whole(void **state)
{
    const struct store_dir *dir = *state;
    enum { longest = 5000 };
    char text[longest + 4];
    for (size_t size = 1; size < longest; size += size < 500 ? 7 : 1) {
        memset(text, 'x', size);
        memcpy(text + size, "\ny\n", 3);
        struct kv_log log = open_log_of(dir, text, size + 3);

        assert_line(&log, 0, size + 3, text, size);
        assert_line(&log, size + 1, size + 3, "y", 1);
        kv_log_close(&log);
    }
}

static void last_line_without_newline_counts_it(void **state)
{
    const struct store_dir *dir = *state;
    static const size_t sizes[] = {1, 255, 256, 257, 511, 512, 513, 5000};
    char text[5000];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kv_log log = open_log_of(dir, text, sizes[i]);

        assert_line(&log, 0, sizes[i] + 1, text, sizes[i]);
        assert_line(&log, 0, sizes[i] + 100, text, sizes[i]);
        kv_log_close(&log);
    }
}

static void nothing_is_at_or_past_the_end(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\ntwo\n", 8);
    static const uint64_t offsets[] = {8, 9, 1000000};
    for (size_t i = 0; i < 2 * sizeof offsets / sizeof *offsets; i++) {
        struct kv_log_line line;
        uint64_t offset = offsets[i / 2];
        uint64_t end = i % 2 == 0 ? UINT64_MAX : 8;

        assert_int_equal(kv_log_read_line(&log, offset, end, &line),
                         KVSTORE_OK);

        assert_int_equal(line.length, 0);
        assert_int_equal(line.size, 0);
        kv_log_line_release(&line);
    }
    kv_log_close(&log);
}

/* --- A record of a known length --- */

/* Reads a record, and returns whether it is there. */
static bool has_record(const struct kv_log *log,
                       uint64_t offset,
                       uint64_t length,
                       const char *expected)
{
    struct kv_log_pointer pointer = {.offset = offset, .length = length};
    struct kv_log_line line;
    bool is_there = false;
    assert_int_equal(kv_log_read_record(log, pointer, &line, &is_there),
                     KVSTORE_OK);
    if (is_there) {
        assert_int_equal(line.size, length - 1);
        assert_int_equal(line.length, length);
        assert_memory_equal(line.bytes, expected, (size_t)length - 1);
        kv_log_line_release(&line);
    } else {
        assert_null(line.allocated);
    }
    return is_there;
}

static void record_follows_a_newline_a_nul_or_nothing(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\ntwo\n\0\0six\nx\n", 16);

    for (int i = 0; i < 200; i++) {
        assert_true(has_record(&log, 0, 4, "one"));
        assert_true(has_record(&log, 4, 4, "two"));
        assert_true(has_record(&log, 10, 4, "six"));
        assert_true(has_record(&log, 14, 2, "x"));
        assert_true(has_record(&log, 4, 1, ""));
        assert_false(has_record(&log, 1, 3, "ne"));
        assert_false(has_record(&log, 3, 2, "?"));
        assert_false(has_record(&log, 11, 3, "ix"));
        if (i == 100) {
            kv_log_map(&log);
        }
    }
    kv_log_close(&log);
}

/* Not its last byte: the newline that the last line may lack. */
static void record_may_lack_only_its_newline(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\nthree", 9);

    for (int i = 0; i < 200; i++) {
        assert_true(has_record(&log, 4, 6, "three"));
        assert_true(has_record(&log, 4, 5, "thre"));
        assert_false(has_record(&log, 4, 7, "?"));
        assert_false(has_record(&log, 9, 2, "?"));
        assert_false(has_record(&log, 9, 1, "?"));
        assert_false(has_record(&log, 10, 1, "?"));
        assert_false(has_record(&log, KV_OFFSET_MAX - 9, 9, "?"));
        if (i == 100) {
            kv_log_map(&log);
        }
    }
    kv_log_close(&log);
}

static void records_of_all_sizes_are_read_whole(void **state)
{
    const struct store_dir *dir = *state;
    enum { longest = 5000 };
    char text[longest + 4];
    for (size_t size = 1; size < longest;
         size += size < 500 || size > 520 ? 83 : 1) {
        text[0] = '\n';
        memset(text + 1, 'x', size);
        memcpy(text + 1 + size, "\ny\n", 3);
        struct kv_log log = open_log_of(dir, text, size + 4);

        assert_true(has_record(&log, 1, size + 1, text + 1));
        assert_true(has_record(&log, size + 2, 2, "y"));
        kv_log_close(&log);
    }
}

static struct kv_io_table counting_table;
static unsigned pread_count;
static size_t pread_size;

static ssize_t counting_pread(int fd, void *buffer, size_t size, off_t offset)
{
    pread_count++;
    pread_size += size;
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static void start_counting(void)
{
    counting_table = *kv_io_system_table();
    counting_table.pread = counting_pread;
    pread_count = 0;
    pread_size = 0;
    kv_io_swap_table(&counting_table);
}

/* From the byte before it to the one before its newline. */
static void record_is_one_read_of_its_bytes(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\nthree\nsix\n", 14);

    start_counting();
    assert_true(has_record(&log, 4, 6, "three"));
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(pread_count, 1);
    assert_int_equal(pread_size, 6);
    kv_log_close(&log);
}

static void mapped_record_is_not_read(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\nthree\n", 10);
    kv_log_map(&log);
    for (int i = 0; i < 100; i++) {
        assert_true(has_record(&log, 4, 6, "three"));
    }

    start_counting();
    assert_true(has_record(&log, 4, 6, "three"));
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(pread_count, sizeof(void *) >= 8 ? 0 : 1);
    kv_log_close(&log);
}

static ssize_t failing_pread(int fd, void *buffer, size_t size, off_t offset)
{
    (void)fd;
    (void)buffer;
    (void)size;
    (void)offset;
    errno = EIO;
    return -1;
}

static void *failing_malloc(size_t size)
{
    (void)size;
    return NULL;
}

/* Reads a record and measures it, by such a table. */
static void assert_reading_fails(const struct kv_io_table *table,
                                 const struct kv_log *log,
                                 kvstore_status read,
                                 kvstore_status measured)
{
    struct kv_log_pointer pointer = {.offset = 0, .length = 1000};
    struct kv_log_line line;
    bool is_there = true;
    uint64_t length = 7;
    kv_io_swap_table(table);
    kvstore_status read_status =
        kv_log_read_record(log, pointer, &line, &is_there);
    kvstore_status status = kv_log_measure_line(log, 0, 1000, &length);
    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(read_status, read);
    assert_false(is_there);
    assert_null(line.allocated);
    assert_int_equal(status, measured);
    assert_int_equal(length, measured == KVSTORE_OK ? 1000 : 0);
}

static void record_that_cannot_be_read_says_so(void **state)
{
    const struct store_dir *dir = *state;
    char text[1000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\n';
    struct kv_log log = open_log_of(dir, text, sizeof text);
    struct kv_io_table table = *kv_io_system_table();

    table.pread = failing_pread;
    assert_reading_fails(&table, &log, KVSTORE_IO, KVSTORE_IO);
    table = *kv_io_system_table();
    table.malloc = failing_malloc;
    assert_reading_fails(&table, &log, KVSTORE_NO_MEMORY, KVSTORE_OK);
    kv_log_close(&log);
}

static uint64_t measure(const struct kv_log *log, uint64_t offset, uint64_t end)
{
    uint64_t length = 12345;
    assert_int_equal(kv_log_measure_line(log, offset, end, &length),
                     KVSTORE_OK);
    return length;
}

/* Around the 16 KiB that are read at once. */
static void lines_of_all_sizes_are_measured(void **state)
{
    const struct store_dir *dir = *state;
    static const size_t sizes[] = {
        0, 1, 4094, 16382, 16383, 16384, 16385, 32767, 32768, 32769, 100000};
    char *text = malloc(100010);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        memcpy(text, "one\n", 4);
        memset(text + 4, 'x', size);
        memcpy(text + 4 + size, "\ny\n", 3);
        struct kv_log log = open_log_of(dir, text, size + 7);

        assert_int_equal(measure(&log, 4, size + 5), size + 1);
        assert_int_equal(measure(&log, 4, size + 7), size + 1);
        assert_int_equal(measure(&log, size + 5, size + 7), 2);
        assert_int_equal(measure(&log, 0, size + 7), 4);
        assert_int_equal(measure(&log, size + 7, size + 7), 0);
        kv_log_close(&log);

        log = open_log_of(dir, text, size + 4);
        assert_int_equal(measure(&log, 4, size + 5), size + 1);
        /* Nor is there one if more is missing than the newline. */
        assert_int_equal(measure(&log, 4, size + 6), 0);
        assert_int_equal(measure(&log, 4, size + 50000), 0);
        kv_log_close(&log);
    }
    free(text);
}

/* --- One line in memory --- */

/* Reads until the log is mapped. */
static void read_often(const struct kv_log *log, uint64_t end)
{
    for (int i = 0; i < 100; i++) {
        struct kv_log_line line;
        assert_int_equal(kv_log_read_line(log, 0, end, &line), KVSTORE_OK);
        kv_log_line_release(&line);
    }
}

static bool is_mapped(const struct kv_log *log, uint64_t end)
{
    struct kv_log_line line;
    assert_int_equal(kv_log_read_line(log, 0, end, &line), KVSTORE_OK);
    bool result = line.bytes != line.inline_bytes && line.allocated == NULL;
    kv_log_line_release(&line);
    return result;
}

static void few_lines_are_read_and_many_mapped(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n\nthree\n", 11);
    assert_false(is_mapped(&log, 11));
    read_often(&log, 11);
    assert_false(is_mapped(&log, 11)); /* No caller has asked for it. */
    kv_log_map(&log);
    assert_false(is_mapped(&log, 11));

    read_often(&log, 11);

    assert_int_equal(is_mapped(&log, 11), sizeof(void *) >= 8);
    assert_line(&log, 0, 11, "one", 3);
    assert_line(&log, 4, 11, "", 0);
    assert_line(&log, 5, 11, "three", 5);
    assert_line(&log, 5, 8, "th", 2);
    kv_log_close(&log);
}

/* The byte where the newline is missing may be on a page that the file does not
 * reach: touching it would be a SIGBUS. */
static void mapped_line_without_newline_is_not_passed(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    struct kv_log log = open_log_of(dir, text, size);
    kv_log_map(&log);
    read_often(&log, size + 1);

    assert_line(&log, 0, size + 1, text, size);
    assert_line(&log, size - 1, size + 1, text, 1);
    assert_line(&log, size, size + 1, "", 0);

    free(text);
    kv_log_close(&log);
}

static void appended_lines_are_in_the_map(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    kv_log_map(&log);
    read_often(&log, 4);
    store_dir_append(dir, KV_LOG_NAME, "two\n", 4);

    assert_line(&log, 4, 8, "two", 3);

    kv_log_close(&log);
}

/* The first piece is 64 MiB; the log has holes, so that it takes no room. */
static void line_across_two_pieces_is_read(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t border = UINT64_C(1) << 26;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    assert_int_equal(kv_io_write(&log.file, border - 4, "\nab\n", 4),
                     KVSTORE_OK);
    assert_int_equal(kv_io_write(&log.file, border, "cd\n12345\n", 9),
                     KVSTORE_OK);
    kv_log_map(&log);
    read_often(&log, border + 9);

    assert_line(&log, border - 3, border + 9, "ab", 2);
    assert_line(&log, border, border + 9, "cd", 2);
    assert_line(&log, border + 3, border + 9, "12345", 5);
    assert_int_equal(kv_io_write(&log.file, border - 1, "x", 1), KVSTORE_OK);
    assert_line(&log, border - 3, border + 9, "abxcd", 5);

    kv_log_close(&log);
}

/* Bytes that are side by side, and no others. */
static void map_gives_only_what_is_there(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t border = UINT64_C(1) << 26;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    assert_int_equal(kv_io_write(&log.file, border - 2, "abcd", 4), KVSTORE_OK);
    struct kv_log_map *map = kv_log_map_create();
    if (map == NULL) {
        kv_log_close(&log);
        skip();
    }
    assert_null(kv_log_map_get(map, &log.file, 0, 4));
    while (kv_log_map_get(map, &log.file, 0, 4) == NULL) {
    }

    assert_memory_equal(kv_log_map_get(map, &log.file, 0, 4), "one\n", 4);
    assert_memory_equal(kv_log_map_get(map, &log.file, border - 2, 2), "ab", 2);
    assert_memory_equal(kv_log_map_get(map, &log.file, border, 2), "cd", 2);
    assert_null(kv_log_map_get(map, &log.file, border - 2, 3));
    assert_null(kv_log_map_get(map, &log.file, border - 2, 4));
    assert_null(kv_log_map_get(map, &log.file, border, 3));
    assert_null(kv_log_map_get(map, &log.file, border + 2, 1));
    assert_null(kv_log_map_get(map, &log.file, border + 3, 1));
    assert_null(kv_log_map_get(map, &log.file, KV_OFFSET_MAX - 3, 4));
    assert_int_equal(kv_io_write(&log.file, border + 2, "ef", 2), KVSTORE_OK);
    assert_memory_equal(kv_log_map_get(map, &log.file, border, 4), "cdef", 4);
    kv_log_map_free(map);
    kv_log_close(&log);
}

static void *refusing_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    (void)size;
    (void)is_writable;
    (void)fd;
    (void)offset;
    errno = ENOMEM;
    return MAP_FAILED;
}

static void log_that_cannot_be_mapped_is_read(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\n", 4);
    struct kv_io_table table = *kv_io_system_table();
    table.mmap = refusing_mmap;
    kv_io_swap_table(&table);
    kv_log_map(&log);

    read_often(&log, 4);
    bool result = is_mapped(&log, 4);

    kv_io_swap_table(kv_io_system_table());
    assert_false(result);
    assert_line(&log, 0, 4, "one", 3);
    assert_true(has_record(&log, 0, 4, "one"));
    kv_log_close(&log);
}

static void line_of_megabytes_is_read_whole(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 5000001;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    text[size - 1] = '\n';
    struct kv_log log = open_log_of(dir, text, size);

    assert_line(&log, 0, size, text, size - 1);

    free(text);
    kv_log_close(&log);
}

/* --- Lines in order --- */

/* Visits the log with a window of this size, and writes what it sees as text:
 * each line, then $ for its newline, or % for none. */
static void assert_views(const struct kv_log *log,
                         uint64_t offset,
                         uint64_t end,
                         size_t window_size,
                         const char *expected)
{
    struct kv_log_cursor cursor;
    struct kv_log_view view;
    char seen[256] = "";
    size_t used = 0;
    uint64_t next = offset;
    assert_int_equal(kv_log_cursor_init(&cursor, log, offset, end, window_size),
                     KVSTORE_OK);
    while (kv_log_cursor_next(&cursor, &view) == KVSTORE_OK) {
        assert_int_equal(view.pointer.offset, next);
        assert_int_equal(view.pointer.length,
                         view.size + (view.is_terminated ? 1 : 0));
        next += view.pointer.length;
        for (size_t i = 0; i < view.size; i++) {
            seen[used++] = view.bytes[i] == '\0' ? '0' : view.bytes[i];
        }
        seen[used++] = view.is_terminated ? '$' : '%';
    }
    assert_int_equal(kv_log_cursor_next(&cursor, &view), KVSTORE_NOT_FOUND);
    assert_string_equal(seen, expected);
    kv_log_cursor_release(&cursor);
}

static void assert_views_in_all_windows(const struct store_dir *dir,
                                        const char *bytes,
                                        size_t size,
                                        const char *expected)
{
    struct kv_log log = open_log_of(dir, bytes, size);
    for (size_t window = 1; window < 40; window++) {
        assert_views(&log, 0, size, window, expected);
    }
    assert_views(&log, 0, size, (size_t)1 << 20, expected);
    kv_log_close(&log);
}

#define VIEWS(dir, text, expected) \
    assert_views_in_all_windows(dir, text, sizeof(text) - 1, expected)

static void lines_come_whole_in_any_window(void **state)
{
    const struct store_dir *dir = *state;
    VIEWS(dir, "", "");
    VIEWS(dir, "\n", "$");
    VIEWS(dir, "one\n", "one$");
    VIEWS(dir,
          "one\n\ntwo three four\n\n\nfive\n",
          "one$$two three four$$$five$");
}

static void last_line_may_lack_its_newline(void **state)
{
    const struct store_dir *dir = *state;
    VIEWS(dir, "one", "one%");
    VIEWS(dir, "one\ntwo", "one$two%");
    VIEWS(dir, "one\n\0\0", "one$00%");
}

static void nuls_at_the_start_are_a_line_of_their_own(void **state)
{
    const struct store_dir *dir = *state;
    VIEWS(dir, "\0\0\0\0{a}\n", "0000%{a}$");
    VIEWS(dir, "one\n\0\0\0two\nthree\n", "one$000%two$three$");
    VIEWS(dir, "\0\0\n\0\none\n", "00$0$one$");
}

static void cursor_stays_within_its_range(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_log log = open_log_of(dir, "one\ntwo\nthree\n", 14);
    for (size_t window = 1; window < 20; window++) {
        assert_views(&log, 4, 8, window, "two$");
        assert_views(&log, 4, 6, window, "tw%");
        assert_views(&log, 4, 10, window, "two$th%");
        assert_views(&log, 8, 8, window, "");
        assert_views(&log, 8, 1000, window, "three$");
    }
    kv_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(missing_log_is_not_found_without_an_error),
        STORE_TEST(log_is_created_as_open_as_its_directory),
        STORE_TEST(umask_that_is_not_told_takes_all),
        STORE_TEST(created_log_that_is_there_keeps_its_bytes),
        STORE_TEST(log_that_appeared_meanwhile_is_not_given_away),
        STORE_TEST(log_that_comes_and_goes_is_busy),
        STORE_TEST(symbolic_link_is_no_log),
        STORE_TEST(look_tells_the_size_of_the_same_file),
        STORE_TEST(look_counts_the_names_of_the_file),
        STORE_TEST(look_sees_another_file_of_the_name),
        STORE_TEST(look_at_a_deleted_log_fails),
        STORE_TEST(line_ends_with_its_newline_or_the_whole_lines),
        STORE_TEST(lines_of_all_sizes_are_read_whole),
        STORE_TEST(last_line_without_newline_counts_it),
        STORE_TEST(nothing_is_at_or_past_the_end),
        STORE_TEST(record_follows_a_newline_a_nul_or_nothing),
        STORE_TEST(record_may_lack_only_its_newline),
        STORE_TEST(records_of_all_sizes_are_read_whole),
        STORE_TEST(record_is_one_read_of_its_bytes),
        STORE_TEST(mapped_record_is_not_read),
        STORE_TEST(record_that_cannot_be_read_says_so),
        STORE_TEST(lines_of_all_sizes_are_measured),
        STORE_TEST(few_lines_are_read_and_many_mapped),
        STORE_TEST(mapped_line_without_newline_is_not_passed),
        STORE_TEST(appended_lines_are_in_the_map),
        STORE_TEST(line_across_two_pieces_is_read),
        STORE_TEST(map_gives_only_what_is_there),
        STORE_TEST(log_that_cannot_be_mapped_is_read),
        STORE_TEST(line_of_megabytes_is_read_whole),
        STORE_TEST(lines_come_whole_in_any_window),
        STORE_TEST(last_line_may_lack_its_newline),
        STORE_TEST(nuls_at_the_start_are_a_line_of_their_own),
        STORE_TEST(cursor_stays_within_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
