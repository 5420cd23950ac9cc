/* SPDX-License-Identifier: MIT */

/* Do the files of os/ do what their headers promise where few systems, and few
 * programs, bring them to? */

#include "os/directory.h"
#include "os/error.h"
#include "os/file.h"
#include "os/fork.h"
#include "os/map.h"
#include "os/size_signal.h"
#include "os/warnings.h"
#include "store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    struct kv_io_table table;
    const int *errors; /* Of the calls to come; the first 0 is a success. */
    int calls;
    int closed_fd;
} world;

static int next_result(void)
{
    world.calls++;
    if (*world.errors == 0) {
        return 0;
    }
    errno = *world.errors++;
    return -1;
}

static int set_up(void **state)
{
    int result = store_dir_set_up(state);
    memset(&world, 0, sizeof world);
    world.table = *kv_io_system_table();
    kv_io_swap_table(&world.table);
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define OS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct kv_io_file open_new(const struct store_dir *dir, const char *name)
{
    struct kv_io_file file;
    assert_int_equal(kv_io_open(&dir->directory, name, KV_IO_CREATE_NEW, &file),
                     KVSTORE_OK);
    return file;
}

static void assert_failed_with(kvstore_status status, int system_errno)
{
    assert_int_equal(status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
}

/* --- Room --- */

static int refused_blocks(int fd, off_t size)
{
    (void)fd;
    (void)size;
    return next_result();
}

static ssize_t refused_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    return next_result() != 0
               ? -1
               : kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

static int refused_populate(void *memory, size_t size)
{
    (void)memory;
    (void)size;
    return next_result();
}

/* Where the file system cannot be asked for room, it is written, and that may
 * fail. */
static void room_that_cannot_be_written_is_an_error(void **state)
{
    static const int errors[] = {EOPNOTSUPP, ENOSPC, 0};
    struct kv_io_file file = open_new(*state, "file");
    world.table.allocate_blocks = refused_blocks;
    world.table.pwrite = refused_pwrite;
    world.errors = errors;

    assert_failed_with(kv_io_allocate_blocks(&file, 200000), ENOSPC);

    assert_int_equal(world.calls, 2);
    kv_io_close(&file);
}

static void populating_is_tried_until_it_is_done(void **state)
{
    static const int errors[] = {EINTR, EAGAIN, EINTR, 0};
    (void)state;
    const struct kv_io_file file = {.fd = -1, .name = "file"};
    world.table.populate = refused_populate;
    world.errors = errors;

    assert_int_equal(kv_io_populate(&file, NULL, 4096), KVSTORE_OK);

    assert_int_equal(world.calls, 4);
}

/* Without a page for a place of a file, there is no room for it. */
static void populating_that_fails_says_why(void **state)
{
    static const int errors[] = {EFAULT, ENOMEM, ENOSYS, 0};
    (void)state;
    const struct kv_io_file file = {.fd = -1, .name = "file"};
    world.table.populate = refused_populate;
    world.errors = errors;

    assert_failed_with(kv_io_populate(&file, NULL, 4096), ENOSPC);
    assert_failed_with(kv_io_populate(&file, NULL, 4096), ENOMEM);
    assert_int_equal(kv_io_populate(&file, NULL, 4096), KVSTORE_OK);
}

/* --- Descriptors --- */

#define HIGH_FD 70000

static int open_high(int dir_fd, const char *name, int flags, mode_t mode)
{
    (void)dir_fd;
    (void)name;
    (void)flags;
    (void)mode;
    return HIGH_FD;
}

static int note_close(int fd)
{
    world.calls++;
    world.closed_fd = fd;
    return 0;
}

/* It is used as any other, though a child of fork is not told of it. */
static void very_high_descriptor_is_closed_once(void **state)
{
    world.table.openat = open_high;
    world.table.close = note_close;
    struct kv_io_file file = open_new(*state, "file");
    assert_int_equal(file.fd, HIGH_FD);

    kv_io_close(&file);
    kv_io_close(&file);

    world.table.close = kv_io_system_table()->close;
    assert_int_equal(world.calls, 1);
    assert_int_equal(world.closed_fd, HIGH_FD);
}

/* A guard need not have as many files as there is room for. */
static void child_closes_the_files_that_a_guard_has(void **state)
{
    struct kv_io_file file = open_new(*state, "file");
    struct kv_fork_guard guard = {.files = {NULL, &file}};
    int status = 0;
    assert_int_equal(kv_fork_guard_add(&guard), KVSTORE_OK);
    pid_t child = fork();
    if (child == 0) {
        _exit(kv_fork_guard_is_child(&guard) && file.fd == -1 ? 0 : 1);
    }

    assert_int_equal(waitpid(child, &status, 0), child);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_false(kv_fork_guard_is_child(&guard));
    assert_true(file.fd >= 0);
    kv_fork_guard_remove(&guard);
    kv_io_close(&file);
}

/* --- The signal of a file that gets too large --- */

static bool is_pending(void)
{
    sigset_t pending;
    assert_int_equal(sigpending(&pending), 0);
    return sigismember(&pending, SIGXFSZ) == 1;
}

/* One that is the program's own stays with it. */
static void signal_that_was_pending_stays(void **state)
{
    (void)state;
    sigset_t set;
    sigset_t old_mask;
    struct kv_size_signal held;
    int taken = 0;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGXFSZ);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old_mask), 0);
    assert_int_equal(raise(SIGXFSZ), 0);
    assert_true(is_pending());

    kv_size_signal_hold(&held);
    errno = EFBIG;
    kv_size_signal_release(&held, true);

    assert_int_equal(errno, EFBIG);
    assert_true(is_pending());
    assert_int_equal(sigwait(&set, &taken), 0);
    kv_size_signal_hold(&held);
    assert_int_equal(raise(SIGXFSZ), 0);
    errno = EIO;
    kv_size_signal_release(&held, true);
    assert_int_equal(errno, EIO);
    assert_true(is_pending());
    assert_int_equal(sigwait(&set, &taken), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &old_mask, NULL), 0);
}

/* --- Messages --- */

#define STRANGE_ERRNO 99999

static void reason_that_the_system_does_not_know_has_its_number(void **state)
{
    (void)state;
    assert_int_equal(kv_fail_errno(KVSTORE_IO, STRANGE_ERRNO, "cannot do it"),
                     KVSTORE_IO);

    const char *message = kvstore_last_error()->message;
    assert_memory_equal(message, "cannot do it: ", 14);
    assert_true(strlen(message) > 14);
    assert_int_equal(kvstore_last_error()->system_errno, STRANGE_ERRNO);
}

/* --- Warnings --- */

static struct {
    struct kv_warnings warnings;
    int count;
    bool is_within;
} told;

/* The program's function leads to a new warning each time, and to another call
 * of the library, which must not tell it meanwhile. */
static void tell_more(void *context, const char *text)
{
    (void)context;
    assert_false(told.is_within);
    assert_int_equal(strncmp(text, "warning ", 8), 0);
    told.is_within = true;
    told.count++;
    kv_warnings_note(&told.warnings, "warning %d", told.count);
    kv_warnings_tell(&told.warnings);
    told.is_within = false;
}

static void warnings_without_end_do_not_hold_a_call(void **state)
{
    (void)state;
    told.count = 0;
    kv_warnings_init(&told.warnings, tell_more, NULL);
    kv_warnings_note(&told.warnings, "warning %d", 0);

    kv_warnings_tell(&told.warnings);

    int first = told.count;
    assert_true(first > 1 && first < 100);
    assert_true(atomic_load(&told.warnings.are_due));
    kv_warnings_tell(&told.warnings);
    assert_int_equal(told.count, 2 * first);
    kv_warnings_destroy(&told.warnings);
}

/* --- Directories --- */

static void relative_directories_are_made(void **state)
{
    const struct store_dir *dir = *state;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(here >= 0);
    assert_int_equal(chdir(dir->path), 0);

    kvstore_status status = kv_io_make_directories("made//in/order");

    assert_int_equal(fchdir(here), 0);
    assert_int_equal(close(here), 0);
    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(rmdir(store_dir_path(dir, "made/in/order")), 0);
    assert_int_equal(rmdir(store_dir_path(dir, "made/in")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OS_TEST(room_that_cannot_be_written_is_an_error),
        OS_TEST(populating_is_tried_until_it_is_done),
        OS_TEST(populating_that_fails_says_why),
        OS_TEST(very_high_descriptor_is_closed_once),
        OS_TEST(child_closes_the_files_that_a_guard_has),
        OS_TEST(signal_that_was_pending_stays),
        OS_TEST(reason_that_the_system_does_not_know_has_its_number),
        OS_TEST(warnings_without_end_do_not_hold_a_call),
        OS_TEST(relative_directories_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
