/* SPDX-License-Identifier: MIT */

/* Does log/padding.c do what its header promises? */

#include "log/padding.h"
#include "os/error.h"
#include "store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define NAME "lines"
#define UNIT ((size_t)64 << 10) /* What is padded at a time. */
#define EXT4 0xef53
#define WARM_UP 64 /* Writes that get no room yet. */

/* A system whose file system, disk and addresses are set by a test. */
static struct {
    struct kv_io_table table;
    long type;
    uint64_t disk_size; /* No byte goes past this. */
    unsigned writes;
    bool has_addresses;
    bool can_cut;
    unsigned steps;
    const struct store_dir *dir;
    char seen[2][8]; /* The first bytes of a line at the steps of a put. */
    uint64_t line_offset;
} world;

static long told_type(int fd)
{
    (void)fd;
    return world.type;
}

static ssize_t limited_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    uint64_t start = (uint64_t)offset;
    world.writes++;
    if (start >= world.disk_size) {
        errno = ENOSPC;
        return -1;
    }
    uint64_t room = world.disk_size - start;
    return kv_io_system_table()->pwrite(
        fd, bytes, size < room ? size : (size_t)room, offset);
}

static void *limited_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    if (!world.has_addresses) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return kv_io_system_table()->mmap(size, is_writable, fd, offset);
}

static int limited_ftruncate(int fd, off_t size)
{
    if (!world.can_cut) {
        errno = EPERM;
        return -1;
    }
    return kv_io_system_table()->ftruncate(fd, size);
}

static void note_step(const char *name)
{
    if (strncmp(name, "tail ", 5) != 0 || world.steps >= 2) {
        return;
    }
    size_t size = 0;
    char *bytes = store_dir_read(world.dir, NAME, &size);
    memcpy(world.seen[world.steps++], bytes + world.line_offset, 8);
    free(bytes);
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.type = EXT4;
    world.disk_size = UINT64_MAX;
    world.has_addresses = true;
    world.can_cut = true;
    world.table = *kv_io_system_table();
    world.table.file_system_type = told_type;
    world.table.pwrite = limited_pwrite;
    world.table.mmap = limited_mmap;
    world.table.ftruncate = limited_ftruncate;
    world.table.step = note_step;
    world.steps = 2;
    kv_io_swap_table(&world.table);
    int result = store_dir_set_up(state);
    world.dir = *state;
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define TAIL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- Lines --- */

/* A file of lines, and what must be in it. */
struct lines {
    struct kv_io_file file;
    struct kv_log_padding *tail;
    char *bytes;
    size_t end;
};

static struct lines open_lines(const struct store_dir *dir)
{
    struct lines lines = {.tail = kv_log_padding_create(true)};
    assert_non_null(lines.tail);
    assert_int_equal(
        kv_io_open(&dir->directory, NAME, KV_IO_WRITE_CREATE, &lines.file),
        KVSTORE_OK);
    lines.bytes = malloc((size_t)16 << 20);
    assert_non_null(lines.bytes);
    return lines;
}

static void close_lines(struct lines *lines)
{
    kv_log_padding_free(lines->tail);
    kv_io_close(&lines->file);
    free(lines->bytes);
}

/* Appends a line of so many bytes. True if there was padding for it. */
static bool append(struct lines *lines, size_t size)
{
    char *line = lines->bytes + lines->end;
    bool has_room = false;
    memset(line, 'a' + (int)(lines->end % 26), size);
    line[0] = '{';
    line[size - 1] = '\n';
    assert_int_equal(
        kv_log_padding_make_room(
            lines->tail, &lines->file, lines->end, size, &has_room),
        KVSTORE_OK);
    if (has_room) {
        kv_log_padding_put(lines->tail, line, size);
    } else {
        assert_int_equal(kv_io_write(&lines->file, lines->end, line, size),
                         KVSTORE_OK);
    }
    lines->end += size;
    return has_room;
}

static void warm_up(struct lines *lines)
{
    for (int i = 0; i < WARM_UP; i++) {
        assert_false(append(lines, 10));
    }
}

/* Asserts that the file holds the lines, then padding or nothing. */
static void assert_lines(const struct lines *lines)
{
    size_t size = 0;
    char *bytes = store_dir_read(world.dir, NAME, &size);
    uint64_t expected = kv_log_padding_file_size(lines->tail, lines->end);
    assert_int_equal(size, expected);
    assert_memory_equal(bytes, lines->bytes, lines->end);
    for (size_t i = lines->end; i + 1 < size; i++) {
        assert_int_equal(bytes[i], '\t');
    }
    assert_int_equal(bytes[size - 1], '\n');
    free(bytes);
}

static void few_writes_get_no_room(void **state)
{
    struct lines lines = open_lines(*state);

    warm_up(&lines);
    assert_false(kv_log_padding_is_padded(lines.tail));
    assert_lines(&lines);
    assert_true(append(&lines, 10));

    assert_true(kv_log_padding_is_padded(lines.tail));
    assert_int_equal(kv_log_padding_file_size(lines.tail, lines.end), UNIT);
    assert_lines(&lines);
    close_lines(&lines);
}

static void padding_is_written_with_one_call(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);

    for (unsigned i = 1; i <= 20; i++) {
        world.writes = 0;
        while (world.writes == 0) {
            assert_true(append(&lines, i % 2 == 0 ? UNIT : 997));
        }

        assert_int_equal(world.writes, 1);
        assert_int_equal(kv_log_padding_file_size(lines.tail, lines.end) % UNIT,
                         0);
        assert_lines(&lines);
    }
    close_lines(&lines);
}

static void lines_fill_the_padding_and_more(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);

    for (size_t i = 0; lines.end < (size_t)9 << 20; i++) {
        assert_true(
            append(&lines, i % 100 == 0 ? UNIT - i % 7 : 2 + i * 7 % 900));
        if (i % 1000 == 0) {
            assert_lines(&lines);
        }
    }

    assert_lines(&lines);
    kv_log_padding_trim(lines.tail, &lines.file);
    assert_false(kv_log_padding_is_padded(lines.tail));
    assert_lines(&lines);
    assert_int_equal(store_dir_file_size(*state, NAME), lines.end);
    close_lines(&lines);
}

static void some_padding_is_always_left(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);
    assert_true(append(&lines, 10));
    size_t left = UNIT - lines.end;

    assert_true(append(&lines, left - KV_LOG_PADDING_MIN));
    assert_int_equal(kv_log_padding_file_size(lines.tail, 0), UNIT);
    assert_lines(&lines);
    assert_true(append(&lines, 2));
    assert_int_equal(kv_log_padding_file_size(lines.tail, 0), 2 * UNIT);
    assert_lines(&lines);

    close_lines(&lines);
}

static void first_byte_comes_last_and_second_first(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);
    assert_true(append(&lines, 10));
    world.line_offset = lines.end;
    world.steps = 0;

    assert_true(append(&lines, 100));

    const char *line = lines.bytes + world.line_offset;
    assert_int_equal(world.steps, 2);
    assert_int_equal(world.seen[0][0], '\t');
    assert_int_equal(world.seen[0][1], line[1]);
    assert_memory_equal(world.seen[0] + 2, "\t\t\t\t\t\t", 6);
    assert_int_equal(world.seen[1][0], '\t');
    assert_memory_equal(world.seen[1] + 1, line + 1, 7);
    assert_lines(&lines);
    close_lines(&lines);
}

static void long_line_is_for_the_caller_without_padding(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);
    assert_true(append(&lines, 10));

    assert_false(append(&lines, UNIT + 1));
    assert_false(kv_log_padding_is_padded(lines.tail));
    assert_lines(&lines);
    assert_true(append(&lines, 10));
    assert_lines(&lines);
    assert_true(append(&lines, UNIT));
    assert_lines(&lines);

    close_lines(&lines);
}

static void freed_tail_leaves_the_file_alone(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);
    assert_true(append(&lines, 10));

    close_lines(&lines);

    assert_int_equal(store_dir_file_size(*state, NAME), UNIT);
}

static void no_tail_is_one_without_padding(void **state)
{
    struct lines lines = open_lines(*state);
    kv_log_padding_free(lines.tail);
    lines.tail = NULL;

    for (int i = 0; i < 2 * WARM_UP; i++) {
        assert_false(append(&lines, 10));
    }

    assert_false(kv_log_padding_is_padded(NULL));
    kv_log_padding_trim(NULL, &lines.file);
    assert_lines(&lines);
    close_lines(&lines);
}

/* --- What can go wrong --- */

static void full_disk_leaves_no_padding(void **state)
{
    for (uint64_t room = 0; room < 3 * UNIT; room += 12345) {
        struct lines lines = open_lines(*state);
        bool has_room = false;
        assert_int_equal(kv_io_truncate(&lines.file, 0), KVSTORE_OK);
        warm_up(&lines);
        world.disk_size = lines.end + room;
        (void)kv_fail(KVSTORE_CONFLICT, "an older error");

        assert_int_equal(
            kv_log_padding_make_room(
                lines.tail, &lines.file, lines.end, 1000, &has_room),
            KVSTORE_OK);

        assert_int_equal(kvstore_last_error()->status, KVSTORE_CONFLICT);
        assert_int_equal(has_room, lines.end + room >= UNIT);
        assert_int_equal(has_room, kv_log_padding_is_padded(lines.tail));
        assert_lines(&lines);
        world.disk_size = UINT64_MAX;
        close_lines(&lines);
    }
}

static void line_fits_where_padding_does_not(void **state)
{
    struct lines lines = open_lines(*state);
    warm_up(&lines);
    world.disk_size = lines.end + 500;

    assert_false(append(&lines, 400));
    assert_lines(&lines);
    world.disk_size = UINT64_MAX;
    warm_up(&lines);
    assert_true(append(&lines, 10));

    assert_lines(&lines);
    close_lines(&lines);
}

static void no_addresses_no_room(void **state)
{
    struct lines lines = open_lines(*state);
    world.has_addresses = false;
    warm_up(&lines);

    assert_false(append(&lines, 10));
    assert_lines(&lines);
    world.has_addresses = true;
    warm_up(&lines);
    assert_true(append(&lines, 10));

    assert_lines(&lines);
    close_lines(&lines);
}

static void other_file_systems_get_no_room(void **state)
{
    struct lines lines = open_lines(*state);
    world.type = 0x58465342; /* XFS */
    warm_up(&lines);
    warm_up(&lines);
    world.type = EXT4;

    assert_false(append(&lines, 10));

    assert_lines(&lines);
    close_lines(&lines);
}

static void memory_file_systems_do(void **state)
{
    struct lines lines = open_lines(*state);
    world.type = 0x01021994;
    warm_up(&lines);

    assert_true(append(&lines, 10));

    close_lines(&lines);
}

static void lines_of_others_behind_the_padding_stay(void **state)
{
    struct lines lines = open_lines(*state);
    bool has_room = true;
    warm_up(&lines);
    assert_true(append(&lines, 10));
    store_dir_append(*state, NAME, "by hand\n", 8);

    kv_log_padding_trim(lines.tail, &lines.file);
    assert_int_equal(store_dir_file_size(*state, NAME), UNIT + 8);
    assert_int_equal(kv_log_padding_make_room(
                         lines.tail, &lines.file, lines.end, UNIT, &has_room),
                     KVSTORE_BUSY);
    assert_false(has_room);
    assert_int_equal(
        kv_log_padding_make_room(
            lines.tail, &lines.file, lines.end, 2 * UNIT, &has_room),
        KVSTORE_BUSY);

    assert_false(has_room);
    assert_int_equal(store_dir_file_size(*state, NAME), UNIT + 8);
    close_lines(&lines);
}

static void padding_that_cannot_be_cut_is_overwritten(void **state)
{
    struct lines lines = open_lines(*state);
    size_t size = 0;
    warm_up(&lines);
    assert_true(append(&lines, 10));
    world.can_cut = false;

    assert_false(append(&lines, UNIT + 100));

    char *bytes = store_dir_read(*state, NAME, &size);
    assert_int_equal(size, lines.end);
    assert_memory_equal(bytes, lines.bytes, lines.end);
    free(bytes);
    close_lines(&lines);
}

/* --- What is padding --- */

static void padding_is_tabs_and_many(void **state)
{
    (void)state;
    static char bytes[KV_LOG_PADDING_MAX + 1];
    for (int is_terminated = 0; is_terminated < 2; is_terminated++) {
        for (size_t size = KV_LOG_PADDING_MIN - 2; size <= sizeof bytes;
             size +=
             size == KV_LOG_PADDING_MIN + 2 ? KV_LOG_PADDING_MAX - 70 : 1) {
            memset(bytes, '\t', sizeof bytes);
            bytes[size - 1] = is_terminated ? '\n' : '\t';
            bool is_padding =
                size >= KV_LOG_PADDING_MIN && size <= KV_LOG_PADDING_MAX;
            uint64_t offset = 5 * KV_PADDING_UNIT - size;
            assert_int_equal(kv_log_padding_is_padding(bytes, size, offset),
                             is_padding);
            assert_int_equal(kv_log_padding_is_padding(bytes, size, offset + 1),
                             is_padding && !is_terminated);
        }
    }
    memset(bytes, '\t', sizeof bytes);
    for (size_t i = 0; i < 100; i += 33) {
        bytes[i] = ' ';
        assert_false(kv_log_padding_is_padding(bytes, 100, 7));
        bytes[i] = '\t';
    }
}

/* True if so many tabs and a text are padding in a log that ends so far past a
 * multiple of the unit. */
static bool find_at(const struct lines *lines,
                    const char *text,
                    size_t tabs,
                    size_t too_far)
{
    static char bytes[KV_LOG_PADDING_MAX + 100];
    size_t size = strlen(text);
    bool is_padding = false;
    uint64_t end = 4 * UNIT + too_far;
    uint64_t begin = end - tabs - size;
    memset(bytes, '\t', sizeof bytes);
    memcpy(bytes + tabs, text, size);
    store_dir_write(world.dir, NAME, "", 0);
    store_dir_truncate(world.dir, NAME, begin);
    store_dir_append(world.dir, NAME, bytes, tabs + size);
    assert_int_equal(kv_log_padding_find(&lines->file, begin, end, &is_padding),
                     KVSTORE_OK);
    uint64_t found = 0;
    assert_int_equal(kv_log_padding_find_end(&lines->file, end, &found),
                     KVSTORE_OK);
    assert_int_equal(found == begin, is_padding);
    return is_padding;
}

static bool find(const struct lines *lines, const char *text, size_t tabs)
{
    return find_at(lines, text, tabs, 0);
}

static void padding_is_found_by_all_of_its_bytes(void **state)
{
    struct lines lines = open_lines(*state);

    assert_true(find(&lines, "\n", KV_LOG_PADDING_MIN - 1));
    assert_true(find(&lines, "", KV_LOG_PADDING_MIN));
    assert_true(find(&lines, "\n", 4095));
    assert_true(find(&lines, "\n", 4096));
    assert_true(find(&lines, "\n", 100000));
    assert_true(find(&lines, "\n", KV_LOG_PADDING_MAX - 1));
    assert_false(find(&lines, "\n", KV_LOG_PADDING_MAX));
    assert_false(find(&lines, "\n", KV_LOG_PADDING_MIN - 2));
    assert_false(find(&lines, "\n\n", 100));
    assert_false(find(&lines, "x\n", 100));
    assert_false(find(&lines, "\nx", 4095));
    assert_false(find(&lines, "\n\t\t\t\n", 4095));
    assert_false(find(&lines, " ", 5000));
    assert_true(find_at(&lines, "", 5000, 1));
    assert_false(find_at(&lines, "\n", 5000, 1));
    assert_false(find_at(&lines, "\n", 5000, UNIT - 1));

    close_lines(&lines);
}

/* Where a line in front of the padding ends that has its newline; or, as after
 * NULs, needs none. */
static void line_that_is_not_all_there_belongs_to_the_padding(void **state)
{
    static const struct {
        const char *text;
        uint64_t end;
    } lines_before[] = {{"{}\n", 3}, {"{}", 0}, {"{}\n{}", 3}, {"\n{", 1}};
    static char bytes[10000];
    struct lines lines = open_lines(*state);
    for (size_t i = 0; i < sizeof lines_before / sizeof lines_before[0]; i++) {
        uint64_t found = 0;
        memset(bytes, '\t', sizeof bytes);
        memcpy(bytes, lines_before[i].text, strlen(lines_before[i].text));
        store_dir_write(world.dir, NAME, bytes, sizeof bytes);
        assert_int_equal(
            kv_log_padding_find_end(&lines.file, sizeof bytes, &found),
            KVSTORE_OK);
        assert_int_equal(found, lines_before[i].end);
    }
    memset(bytes, 'x', sizeof bytes / 2);
    bytes[0] = '\n';
    store_dir_write(world.dir, NAME, bytes, sizeof bytes);
    uint64_t found = 0;
    assert_int_equal(kv_log_padding_find_end(&lines.file, sizeof bytes, &found),
                     KVSTORE_OK);
    assert_int_equal(found, 1);
    close_lines(&lines);
}

static void padding_that_is_cut_meanwhile_is_none(void **state)
{
    struct lines lines = open_lines(*state);
    bool is_padding = true;
    assert_true(find(&lines, "\n", 1000));

    assert_int_equal(kv_log_padding_find(&lines.file, 10, UNIT, &is_padding),
                     KVSTORE_OK);

    assert_false(is_padding);
    close_lines(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAIL_TEST(few_writes_get_no_room),
        TAIL_TEST(padding_is_written_with_one_call),
        TAIL_TEST(lines_fill_the_padding_and_more),
        TAIL_TEST(some_padding_is_always_left),
        TAIL_TEST(first_byte_comes_last_and_second_first),
        TAIL_TEST(long_line_is_for_the_caller_without_padding),
        TAIL_TEST(freed_tail_leaves_the_file_alone),
        TAIL_TEST(no_tail_is_one_without_padding),
        TAIL_TEST(full_disk_leaves_no_padding),
        TAIL_TEST(line_fits_where_padding_does_not),
        TAIL_TEST(no_addresses_no_room),
        TAIL_TEST(other_file_systems_get_no_room),
        TAIL_TEST(memory_file_systems_do),
        TAIL_TEST(lines_of_others_behind_the_padding_stay),
        TAIL_TEST(padding_that_cannot_be_cut_is_overwritten),
        TAIL_TEST(padding_is_tabs_and_many),
        TAIL_TEST(padding_is_found_by_all_of_its_bytes),
        TAIL_TEST(line_that_is_not_all_there_belongs_to_the_padding),
        TAIL_TEST(padding_that_is_cut_meanwhile_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
