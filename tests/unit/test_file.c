/* SPDX-License-Identifier: MIT */

/* Does os/file.c do what its header promises? */

#include "os/directory.h"
#include "os/error.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/map.h"
#include "store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Exits a forked child; a non-zero status is a failure. */
static void leave_child(bool is_good)
{
    _exit(is_good ? 0 : 1);
}

/* In a child: no file may be larger than 100 bytes. Returns what held before, to
 * be put back: what counts the lines that tests run writes files at the end. */
static struct rlimit limit_sizes(void)
{
    struct rlimit before;
    if (getrlimit(RLIMIT_FSIZE, &before) != 0) {
        leave_child(false);
    }
    const struct rlimit limit = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        leave_child(false);
    }
    return before;
}

static void assert_child_is_good(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct kv_io_file open_file(const struct store_dir *dir,
                                   const char *name)
{
    struct kv_io_file file;
    assert_int_equal(
        kv_io_open(&dir->directory, name, KV_IO_WRITE_CREATE, &file),
        KVSTORE_OK);
    return file;
}

static void assert_io_error(kvstore_status status, int system_errno)
{
    assert_int_equal(status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
}

/* --- Tables that fail --- */

static struct kv_io_table table;
static int failures_left;
static int calls;

static void use_system_table(void)
{
    kv_io_swap_table(kv_io_system_table());
}

static int restore_table_and_tear_down(void **state)
{
    use_system_table();
    return store_dir_tear_down(state);
}

#define TABLE_TEST(test) \
    cmocka_unit_test_setup_teardown( \
        test, store_dir_set_up, restore_table_and_tear_down)

static void begin_table(int failures)
{
    table = *kv_io_system_table();
    failures_left = failures;
    calls = 0;
    kv_io_swap_table(&table);
}

static bool fails_now(int error)
{
    calls++;
    if (failures_left == 0) {
        return false;
    }
    failures_left--;
    errno = error;
    return true;
}

static int interrupted_openat(int fd, const char *name, int flags, mode_t mode)
{
    return fails_now(EINTR)
               ? -1
               : kv_io_system_table()->openat(fd, name, flags, mode);
}

static ssize_t one_byte_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (fails_now(EINTR)) {
        return -1;
    }
    return kv_io_system_table()->pread(fd, buffer, size == 0 ? 0 : 1, offset);
}

static ssize_t one_byte_pwrite(int fd,
                               const void *bytes,
                               size_t size,
                               off_t offset)
{
    if (fails_now(EINTR)) {
        return -1;
    }
    return kv_io_system_table()->pwrite(fd, bytes, size == 0 ? 0 : 1, offset);
}

static ssize_t nothing_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    (void)fd;
    (void)bytes;
    (void)size;
    (void)offset;
    errno = EINTR; /* Of an earlier call. */
    return 0;
}

static ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    (void)fd;
    (void)bytes;
    (void)size;
    (void)offset;
    errno = ENOSPC;
    return -1;
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

static int interrupted_ftruncate(int fd, off_t size)
{
    return fails_now(EINTR) ? -1 : kv_io_system_table()->ftruncate(fd, size);
}

static int interrupted_sync(int fd)
{
    (void)fd;
    return fails_now(EINTR) ? -1 : 0;
}

static ssize_t interrupted_getrandom(void *buffer, size_t size)
{
    return fails_now(EINTR) ? -1
                            : kv_io_system_table()->getrandom(buffer, size);
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static int interrupted_flock(int fd, int operation)
{
    return fails_now(EINTR) ? -1 : kv_io_system_table()->flock(fd, operation);
}

static int broken_flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    errno = ENOLCK;
    return -1;
}

static uint32_t told_type;

/* As a kernel of 32 bits gives it. */
static long type_of_file_system(int fd)
{
    (void)fd;
    return (long)(int32_t)told_type;
}

static long type_unknown(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

/* --- Memory --- */

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    begin_table(0);
    table.malloc = no_malloc;

    assert_null(kv_io_allocate(10));

    assert_int_equal(kvstore_last_error()->status, KVSTORE_NO_MEMORY);
}

/* --- Opening --- */

static void missing_directory_is_enoent(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file;
    assert_io_error(kv_io_open_directory(store_dir_path(dir, "no"), &file),
                    ENOENT);
    assert_int_equal(file.fd, -1);
}

static void file_is_no_directory(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file;
    store_dir_write(dir, "file", "", 0);
    assert_io_error(kv_io_open_directory(store_dir_path(dir, "file"), &file),
                    ENOTDIR);
}

static void directories_are_made_one_by_one(void **state)
{
    const struct store_dir *dir = *state;
    struct stat stat;

    assert_int_equal(
        kv_io_make_directories(store_dir_path(dir, "one//two/three/")),
        KVSTORE_OK);
    assert_int_equal(kv_io_make_directories(store_dir_path(dir, "one/two")),
                     KVSTORE_OK);

    assert_int_equal(lstat(store_dir_path(dir, "one/two/three"), &stat), 0);
    assert_true(S_ISDIR(stat.st_mode));
    assert_int_equal(stat.st_mode & 077, 0);
    assert_int_equal(rmdir(store_dir_path(dir, "one/two/three")), 0);
    assert_int_equal(rmdir(store_dir_path(dir, "one/two")), 0);
}

static void directory_below_a_file_is_not_made(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, "file", "", 0);
    assert_io_error(kv_io_make_directories(store_dir_path(dir, "file/two")),
                    ENOTDIR);
}

static void open_modes_create_what_they_say(void **state)
{
    const struct store_dir *dir = *state;
    const struct kv_io_file *directory = &dir->directory;
    struct kv_io_file file;

    assert_io_error(kv_io_open(directory, "a", KV_IO_READ, &file), ENOENT);
    assert_io_error(kv_io_open(directory, "a", KV_IO_WRITE, &file), ENOENT);
    assert_int_equal(file.fd, -1);
    assert_int_equal(kv_io_open(directory, "a", KV_IO_CREATE_NEW, &file),
                     KVSTORE_OK);
    kv_io_close(&file);
    assert_io_error(kv_io_open(directory, "a", KV_IO_CREATE_NEW, &file),
                    EEXIST);
    assert_int_equal(kv_io_open(directory, "a", KV_IO_WRITE_CREATE, &file),
                     KVSTORE_OK);
    kv_io_close(&file);
    assert_int_equal(file.fd, -1);
    kv_io_close(&file);
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat_name(directory, "a", &stat), KVSTORE_OK);
    assert_int_equal(stat.mode, 0600);
}

static void symbolic_link_is_not_followed(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file;
    store_dir_write(dir, "file", "", 0);
    assert_int_equal(symlink("file", store_dir_path(dir, "link")), 0);
    assert_io_error(kv_io_open(&dir->directory, "link", KV_IO_WRITE, &file),
                    ELOOP);
}

static void fifo_is_refused_without_waiting(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file;
    assert_int_equal(mkfifo(store_dir_path(dir, "fifo"), 0600), 0);
    assert_io_error(kv_io_open(&dir->directory, "fifo", KV_IO_READ, &file), 0);
    assert_io_error(kv_io_open(&dir->directory, "fifo", KV_IO_WRITE, &file), 0);
}

static void descriptors_close_on_exec(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file directory;
    struct kv_io_file file = open_file(dir, "a");
    assert_int_equal(kv_io_open_directory(dir->path, &directory), KVSTORE_OK);

    assert_true((fcntl(file.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(directory.fd, F_GETFD) & FD_CLOEXEC) != 0);

    kv_io_close(&file);
    kv_io_close(&directory);
}

static void standard_descriptors_are_left_alone(void **state)
{
    const struct store_dir *dir = *state;
    pid_t child = fork();
    if (child == 0) {
        struct kv_io_file directory;
        struct kv_io_file file;
        (void)close(STDIN_FILENO);
        (void)close(STDOUT_FILENO);
        errno = EINTR; /* Of an earlier call. */
        bool is_good =
            kv_io_open_directory(dir->path, &directory) == KVSTORE_OK &&
            kv_io_open(&directory, "a", KV_IO_CREATE_NEW, &file) ==
                KVSTORE_OK &&
            directory.fd > 2 && file.fd > 2 &&
            fcntl(STDIN_FILENO, F_GETFD) == -1 &&
            fcntl(STDOUT_FILENO, F_GETFD) == -1 &&
            (fcntl(file.fd, F_GETFD) & FD_CLOEXEC) != 0;
        leave_child(is_good);
    }
    assert_child_is_good(child);
}

static void interrupted_open_is_tried_again(void **state)
{
    const struct store_dir *dir = *state;
    begin_table(3);
    table.openat = interrupted_openat;

    struct kv_io_file file = open_file(dir, "a");

    assert_int_equal(calls, 4);
    kv_io_close(&file);
}

/* --- What a file is --- */

static void name_that_is_not_there_sets_no_error(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_stat stat;
    (void)kv_fail(KVSTORE_BUSY, "an older error");

    assert_int_equal(kv_io_stat_name(&dir->directory, "a", &stat),
                     KVSTORE_NOT_FOUND);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
}

static void stat_tells_file_from_directory(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_stat file_stat;
    struct kv_io_stat directory_stat;
    store_dir_write(dir, "a", "12345", 5);
    assert_int_equal(kv_io_stat_name(&dir->directory, "a", &file_stat),
                     KVSTORE_OK);
    assert_int_equal(kv_io_stat(&dir->directory, &directory_stat), KVSTORE_OK);

    assert_true(file_stat.is_regular);
    assert_int_equal(file_stat.size, 5);
    assert_false(directory_stat.is_regular);
    assert_false(directory_stat.is_sticky);
    assert_int_equal(directory_stat.mode, 0700);
    assert_true(file_stat.inode != directory_stat.inode);
}

/* --- Reading and writing --- */

static void read_stops_at_the_end(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file = open_file(dir, "a");
    char buffer[8] = "";
    size_t size = 99;
    assert_int_equal(kv_io_write(&file, 2, "abc", 3), KVSTORE_OK);

    assert_int_equal(kv_io_read(&file, 0, buffer, sizeof buffer, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(buffer, "\0\0abc", 5);
    assert_int_equal(kv_io_read(&file, 5, buffer, sizeof buffer, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 0);
    kv_io_close(&file);
}

static void short_and_interrupted_calls_go_on(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file = open_file(dir, "a");
    char buffer[8] = "";
    size_t size = 0;
    begin_table(2);
    table.pwrite = one_byte_pwrite;
    table.pread = one_byte_pread;
    table.ftruncate = interrupted_ftruncate;

    assert_int_equal(kv_io_write(&file, 0, "abcdef", 6), KVSTORE_OK);
    assert_int_equal(calls, 8);
    failures_left = 2;
    assert_int_equal(kv_io_read(&file, 0, buffer, sizeof buffer, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 6);
    assert_memory_equal(buffer, "abcdef", 6);
    failures_left = 2;
    assert_int_equal(kv_io_truncate(&file, 3), KVSTORE_OK);
    assert_int_equal(store_dir_file_size(dir, "a"), 3);
    kv_io_close(&file);
}

static void failed_calls_keep_their_errno(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file = open_file(dir, "a");
    char buffer[8];
    size_t size = 99;
    begin_table(0);
    table.pwrite = full_pwrite;
    table.pread = failing_pread;

    assert_io_error(kv_io_write(&file, 0, "a", 1), ENOSPC);
    assert_non_null(strstr(kvstore_last_error()->message, "a: "));
    assert_io_error(kv_io_read(&file, 0, buffer, 8, &size), EIO);
    assert_int_equal(size, 0);
    table.pwrite = nothing_pwrite;
    assert_io_error(kv_io_write(&file, 0, "a", 1), ENOSPC);
    kv_io_close(&file);
}

static void failed_sync_is_not_tried_again(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file = open_file(dir, "a");
    begin_table(1);
    table.fdatasync = interrupted_sync;
    table.fsync = interrupted_sync;

    assert_io_error(kv_io_sync_data(&file), EINTR);
    assert_int_equal(calls, 1);
    failures_left = 1;
    assert_io_error(kv_io_sync(&file), EINTR);
    assert_int_equal(calls, 2);
    assert_int_equal(kv_io_sync(&file), KVSTORE_OK);
    kv_io_close(&file);
}

static void limit_on_file_sizes_is_an_error_not_a_signal(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file = open_file(dir, "a");
    pid_t child = fork();
    if (child == 0) {
        struct rlimit before = limit_sizes();
        (void)signal(SIGXFSZ, SIG_DFL);
        char bytes[64] = "";
        bool is_good = kv_io_write(&file, 0, bytes, 64) == KVSTORE_OK &&
                       kv_io_write(&file, 64, bytes, 64) == KVSTORE_IO &&
                       kvstore_last_error()->system_errno == EFBIG;
        sigset_t pending;
        (void)sigpending(&pending);
        (void)setrlimit(RLIMIT_FSIZE, &before);
        leave_child(is_good && sigismember(&pending, SIGXFSZ) == 0);
    }
    assert_child_is_good(child);
    kv_io_close(&file);
}

static void room_beyond_the_limit_is_an_error_not_a_signal(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file = open_file(dir, "a");
    pid_t child = fork();
    if (child == 0) {
        struct rlimit before = limit_sizes();
        (void)signal(SIGXFSZ, SIG_DFL);
        bool is_good = kv_io_allocate_blocks(&file, 4096) == KVSTORE_IO &&
                       kvstore_last_error()->system_errno == EFBIG;
        sigset_t pending;
        (void)sigpending(&pending);
        (void)setrlimit(RLIMIT_FSIZE, &before);
        leave_child(is_good && sigismember(&pending, SIGXFSZ) == 0);
    }
    assert_child_is_good(child);
    kv_io_close(&file);
}

/* --- Names --- */

static void rename_replaces_and_unlink_removes(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, "a", "new", 3);
    store_dir_write(dir, "b", "old", 3);

    struct kv_io_file file;
    struct kv_io_file other;
    assert_int_equal(kv_io_open(&dir->directory, "a", KV_IO_READ, &file),
                     KVSTORE_OK);
    assert_int_equal(kv_io_open(&dir->directory, "b", KV_IO_READ, &other),
                     KVSTORE_OK);

    assert_int_equal(kv_io_rename(&dir->directory, &file, "a", "b"),
                     KVSTORE_OK);
    store_dir_assert_file(dir, "b", "new", 3);
    assert_io_error(kv_io_rename(&dir->directory, &other, "a", "b"), ENOENT);
    /* That it has the name is what counts. */
    assert_int_equal(kv_io_rename(&dir->directory, &file, "a", "b"),
                     KVSTORE_OK);
    kv_io_close(&file);
    kv_io_close(&other);
    assert_int_equal(kv_io_unlink(&dir->directory, "b"), KVSTORE_OK);
    assert_io_error(kv_io_unlink(&dir->directory, "b"), ENOENT);
}

/* --- Locks, clocks, randomness --- */

static struct kv_io_file open_again(const struct store_dir *dir)
{
    struct kv_io_file directory;
    assert_int_equal(kv_io_open_directory(dir->path, &directory), KVSTORE_OK);
    return directory;
}

static void held_lock_is_busy_at_once(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file other = open_again(dir);
    assert_int_equal(kv_io_lock(&dir->directory, 0, NULL), KVSTORE_OK);

    assert_int_equal(kv_io_lock(&other, 0, NULL), KVSTORE_BUSY);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
    kv_io_unlock(&dir->directory);
    assert_int_equal(kv_io_lock(&other, 0, NULL), KVSTORE_OK);
    kv_io_close(&other);
}

static void held_lock_is_busy_after_the_timeout(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file other = open_again(dir);
    assert_int_equal(kv_io_lock(&dir->directory, 0, NULL), KVSTORE_OK);
    int64_t before_ns = kv_io_clock_ns();

    assert_int_equal(kv_io_lock(&other, 30, NULL), KVSTORE_BUSY);

    assert_true(kv_io_clock_ns() - before_ns >= 30000000);
    kv_io_close(&other);
}

static void *unlock_soon(void *argument)
{
    kv_io_sleep_ns(20000000);
    kv_io_unlock(argument);
    return NULL;
}

static void waiter_gets_the_lock_once_it_is_free(void **state)
{
    struct store_dir *dir = *state;
    struct kv_io_file other = open_again(dir);
    pthread_t thread;
    assert_int_equal(kv_io_lock(&dir->directory, 0, NULL), KVSTORE_OK);
    assert_int_equal(
        pthread_create(&thread, NULL, unlock_soon, &dir->directory), 0);

    assert_int_equal(kv_io_lock(&other, INT32_MAX, NULL), KVSTORE_OK);

    assert_int_equal(pthread_join(thread, NULL), 0);
    kv_io_close(&other);
}

static void interrupted_lock_is_tried_again(void **state)
{
    const struct store_dir *dir = *state;
    begin_table(3);
    table.flock = interrupted_flock;
    assert_int_equal(kv_io_lock(&dir->directory, 1000, NULL), KVSTORE_OK);
    assert_int_equal(calls, 4);
}

static void lock_that_fails_is_an_error(void **state)
{
    const struct store_dir *dir = *state;
    begin_table(0);
    table.flock = broken_flock;
    assert_io_error(kv_io_lock(&dir->directory, INT32_MAX, NULL), ENOLCK);
}

static bool is_told_type_remote(const struct kv_io_file *directory,
                                uint32_t type)
{
    bool is_remote = false;
    told_type = type;
    assert_int_equal(kv_io_is_remote(directory, &is_remote), KVSTORE_OK);
    return is_remote;
}

static void network_file_systems_are_known(void **state)
{
    static const uint32_t remote[] = {0x00006969,
                                      0x0000517b,
                                      0xfe534d42,
                                      0xff534d42,
                                      0x5346414f,
                                      0x6b414653,
                                      0x73757245,
                                      0x00c36400,
                                      0x01021997,
                                      0x0bd00bd0,
                                      0x47504653,
                                      0x01161970,
                                      0x7461636f,
                                      0x19830326,
                                      0x20030528,
                                      0x786f4256,
                                      0xbacbacbc};
    /* ext4, XFS, btrfs, tmpfs, overlayfs, FUSE. */
    static const uint32_t local[] = {
        0x0000ef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x65735546};
    const struct store_dir *dir = *state;
    bool is_remote = true;
    assert_int_equal(kv_io_is_remote(&dir->directory, &is_remote), KVSTORE_OK);
    assert_false(is_remote);
    begin_table(0);
    table.file_system_type = type_of_file_system;

    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++) {
        assert_true(is_told_type_remote(&dir->directory, remote[i]));
    }
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        assert_false(is_told_type_remote(&dir->directory, local[i]));
    }
    table.file_system_type = type_unknown;
    assert_io_error(kv_io_is_remote(&dir->directory, &is_remote), EIO);
}

static void random_numbers_differ(void **state)
{
    (void)state;
    uint64_t one = 0;
    uint64_t other = 0;
    begin_table(2);
    table.getrandom = interrupted_getrandom;

    assert_int_equal(kv_io_random(&one, sizeof one), KVSTORE_OK);
    assert_int_equal(kv_io_random(&other, sizeof other), KVSTORE_OK);

    assert_true(one != other);
}

/* --- Holes --- */

static off_t refuse_next_data(int fd, off_t offset)
{
    (void)fd;
    (void)offset;
    errno = EINVAL;
    return -1;
}

static off_t find_no_data(int fd, off_t offset)
{
    (void)fd;
    (void)offset;
    errno = ENXIO;
    return -1;
}

static void data_is_anywhere_where_the_system_does_not_tell(void **state)
{
    struct kv_io_file file = open_file(*state, "file");
    assert_int_equal(kv_io_truncate(&file, 1000000), KVSTORE_OK);
    table = *kv_io_system_table();
    table.next_data = refuse_next_data;
    kv_io_swap_table(&table);

    uint64_t data = kv_io_next_data(&file, 4096);

    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(data, 4096);
    kv_io_close(&file);
}

static void last_hole_ends_with_the_file(void **state)
{
    struct kv_io_file file = open_file(*state, "file");
    assert_int_equal(kv_io_truncate(&file, 1000000), KVSTORE_OK);
    table = *kv_io_system_table();
    table.next_data = find_no_data;
    kv_io_swap_table(&table);

    uint64_t within = kv_io_next_data(&file, 4096);
    uint64_t past = kv_io_next_data(&file, 2000000);

    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(within, 1000000);
    assert_int_equal(past, 2000000);
    kv_io_close(&file);
}

/* Whatever a file system says of holes, no byte is passed over. */
static void bytes_are_data(void **state)
{
    struct kv_io_file file = open_file(*state, "file");
    uint64_t place = UINT64_C(100) << 20;
    assert_int_equal(kv_io_write(&file, place, "x", 1), KVSTORE_OK);

    assert_true(kv_io_next_data(&file, 0) <= place);
    assert_int_equal(kv_io_next_data(&file, place), place);
    assert_int_equal(kv_io_next_data(&file, place + 1), place + 1);
    kv_io_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(lack_of_memory_is_told),
        TABLE_TEST(missing_directory_is_enoent),
        TABLE_TEST(file_is_no_directory),
        TABLE_TEST(directories_are_made_one_by_one),
        TABLE_TEST(directory_below_a_file_is_not_made),
        TABLE_TEST(open_modes_create_what_they_say),
        TABLE_TEST(symbolic_link_is_not_followed),
        TABLE_TEST(fifo_is_refused_without_waiting),
        TABLE_TEST(descriptors_close_on_exec),
        TABLE_TEST(standard_descriptors_are_left_alone),
        TABLE_TEST(interrupted_open_is_tried_again),
        TABLE_TEST(name_that_is_not_there_sets_no_error),
        TABLE_TEST(stat_tells_file_from_directory),
        TABLE_TEST(read_stops_at_the_end),
        TABLE_TEST(short_and_interrupted_calls_go_on),
        TABLE_TEST(failed_calls_keep_their_errno),
        TABLE_TEST(failed_sync_is_not_tried_again),
        TABLE_TEST(limit_on_file_sizes_is_an_error_not_a_signal),
        TABLE_TEST(room_beyond_the_limit_is_an_error_not_a_signal),
        TABLE_TEST(rename_replaces_and_unlink_removes),
        TABLE_TEST(held_lock_is_busy_at_once),
        TABLE_TEST(held_lock_is_busy_after_the_timeout),
        TABLE_TEST(waiter_gets_the_lock_once_it_is_free),
        TABLE_TEST(interrupted_lock_is_tried_again),
        TABLE_TEST(lock_that_fails_is_an_error),
        TABLE_TEST(network_file_systems_are_known),
        TABLE_TEST(random_numbers_differ),
        STORE_TEST(data_is_anywhere_where_the_system_does_not_tell),
        STORE_TEST(last_hole_ends_with_the_file),
        STORE_TEST(bytes_are_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
