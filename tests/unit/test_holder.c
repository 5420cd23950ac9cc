/* SPDX-License-Identifier: MIT */

/* Does os/holder.c do what its header promises? */

#include "os/error.h"
#include "os/holder.h"
#include "os/lock.h"
#include "store_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Opens the directory's file "locks" in place of the system's. */
static int openat_of_locks(int dir_fd, const char *name, int flags, mode_t mode)
{
    bool is_list = strcmp(name, "/proc/locks") == 0;
    return kv_io_system_table()->openat(
        dir_fd, is_list ? "locks" : name, flags, mode);
}

static int openat_without_list(int dir_fd,
                               const char *name,
                               int flags,
                               mode_t mode)
{
    if (strcmp(name, "/proc/locks") == 0) {
        errno = ENOENT;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static bool is_locked_by(const struct store_dir *dir, uint64_t process_id)
{
    struct kv_io_table table = *kv_io_system_table();
    table.openat = openat_of_locks;
    kv_io_swap_table(&table);
    bool is_locked = kv_io_is_locked_by(&dir->directory, process_id);
    kv_io_swap_table(kv_io_system_table());
    return is_locked;
}

static uint64_t own_inode(const struct store_dir *dir)
{
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat(&dir->directory, &stat), KVSTORE_OK);
    return stat.inode;
}

/* Writes a line, given from its second word up to the directory's inode. */
static void write_line(const struct store_dir *dir, const char *start)
{
    char line[256];
    int size = snprintf(
        line, sizeof line, "7: %s%" PRIu64 " 0 EOF\n", start, own_inode(dir));
    store_dir_write(dir, "locks", line, (size_t)size);
}

static void only_who_holds_that_lock_is_found(void **state)
{
    const struct store_dir *dir = *state;
    static const struct {
        const char *start;
        bool is_found;
    } cases[] = {
        {"FLOCK  ADVISORY  WRITE 4711 fe:00:", true},
        {"FLOCK  ADVISORY  WRITE 4711 00:1b:", true},
        {"-> FLOCK  ADVISORY  WRITE 4711 fe:00:", false},
        {"FLOCK  ADVISORY  READ 4711 fe:00:", false},
        {"POSIX  ADVISORY  WRITE 4711 fe:00:", false},
        {"FLOCK  ADVISORY  WRITE 47110 fe:00:", false},
        {"FLOCK  ADVISORY  WRITE 471 fe:00:", false},
        {"FLOCK  ADVISORY  WRITE -1 fe:00:", false},
        {"FLOCK  ADVISORY  WRITE 4711 fe:00:1", false},
        {"FLOCK  ADVISORY  WRITE 4711 ", false},
        {"FLOCK  ADVISORY  WRITE ", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_line(dir, cases[i].start);
        assert_int_equal(is_locked_by(dir, 4711), cases[i].is_found);
    }
}

static void line_is_found_wherever_it_is(void **state)
{
    const struct store_dir *dir = *state;
    char line[128];
    int size =
        snprintf(line,
                 sizeof line,
                 "9: FLOCK  ADVISORY  WRITE 4711 fe:00:%" PRIu64 " 0 EOF\n",
                 own_inode(dir));
    static const char other[] =
        "8: FLOCK  ADVISORY  WRITE 4711 fe:00:1 0 EOF\n";
    for (size_t padding = 4000; padding < 4100; padding++) {
        /* One line that is longer than any, and one of the usual size. */
        char *text = calloc(1, padding + sizeof other + sizeof line);
        assert_non_null(text);
        memset(text, 'x', padding);
        text[padding] = '\n';
        memcpy(text + padding + 1, other, sizeof other - 1);
        memcpy(text + padding + sizeof other, line, (size_t)size);
        store_dir_write(
            dir, "locks", text, padding + sizeof other + (size_t)size);
        assert_true(is_locked_by(dir, 4711));
        assert_false(is_locked_by(dir, 4712));
        free(text);
    }
}

/* A word that is no number is not taken for zero, nor for its beginning. */
static void word_that_is_no_number_is_nobody(void **state)
{
    static const char *const words[] = {"x", "0x", "0:", "-"};
    const struct store_dir *dir = *state;
    char start[64];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        (void)snprintf(
            start, sizeof start, "FLOCK  ADVISORY  WRITE %s fe:00:", words[i]);
        write_line(dir, start);
        assert_false(is_locked_by(dir, 0));
    }
    write_line(dir, "FLOCK  ADVISORY  WRITE 0 fe:00:");
    assert_true(is_locked_by(dir, 0));
}

#define ENDLESS_READS_MAX 100000

static int endless_reads;

static ssize_t endless_pread(int fd, void *buffer, size_t size, off_t offset)
{
    (void)fd;
    (void)offset;
    assert_true(++endless_reads < ENDLESS_READS_MAX);
    memset(buffer, '\n', size);
    return (ssize_t)size;
}

/* The holder is for a message alone, which must not take for ever. */
static void list_without_an_end_is_left(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    store_dir_write(dir, "locks", "", 0);
    table.openat = openat_of_locks;
    table.pread = endless_pread;
    endless_reads = 0;

    kv_io_swap_table(&table);
    bool is_locked = kv_io_is_locked_by(&dir->directory, 4711);
    kv_io_swap_table(kv_io_system_table());

    assert_false(is_locked);
    assert_true(endless_reads > 1);
}

static void where_nothing_is_listed_nobody_is_found(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    table.openat = openat_without_list;
    (void)kv_fail(KVSTORE_BUSY, "an older error");

    kv_io_swap_table(&table);
    bool is_locked = kv_io_is_locked_by(&dir->directory, kv_io_process_id());
    kv_io_swap_table(kv_io_system_table());

    assert_false(is_locked);
    assert_string_equal(kvstore_last_error()->message, "an older error");
}

static void own_lock_is_found_while_it_is_held(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t own = kv_io_process_id();
    assert_int_equal(kv_io_lock(&dir->directory, 0, NULL), KVSTORE_OK);
    if (!kv_io_is_locked_by(&dir->directory, own)) {
        skip(); /* There is no /proc, or it is another system's. */
    }

    kv_io_unlock(&dir->directory);

    assert_false(kv_io_is_locked_by(&dir->directory, own));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(only_who_holds_that_lock_is_found),
        STORE_TEST(line_is_found_wherever_it_is),
        STORE_TEST(word_that_is_no_number_is_nobody),
        STORE_TEST(list_without_an_end_is_left),
        STORE_TEST(where_nothing_is_listed_nobody_is_found),
        STORE_TEST(own_lock_is_found_while_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
