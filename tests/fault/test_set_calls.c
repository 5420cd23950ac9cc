/* SPDX-License-Identifier: MIT */

/* Checks which system calls a write in an open store makes: its lock, its write
 * and its sync; when some time has passed, the looks at two names and at the
 * limit on file sizes; nothing else. */

#include "kvstore.h"
#include "os/file.h"
#include "os/system.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)

/* After so many sets, an exclusive handle copies lines to the mapped end of its
 * log. */
#define WARM_UP 70

/* --- A table that takes notes --- */

static const struct kv_io_table *real;
static struct kv_io_table table;
static int64_t now_ns;
static char noted[4096];

static void note(const char *call, const char *name)
{
    size_t size = strlen(noted);
    (void)snprintf(noted + size,
                   sizeof noted - size,
                   "%s%s%s%s",
                   size == 0 ? "" : ", ",
                   call,
                   name[0] == '\0' ? "" : " ",
                   name);
}

#define NOTED(call, type, parameters, arguments) \
    static type noted_##call parameters \
    { \
        note(#call, ""); \
        return real->call arguments; \
    }

NOTED(openat,
      int,
      (int dir_fd, const char *name, int flags, mode_t mode),
      (dir_fd, name, flags, mode))
NOTED(close, int, (int fd), (fd))
NOTED(dup_high, int, (int fd), (fd))
NOTED(pread,
      ssize_t,
      (int fd, void *buffer, size_t size, off_t offset),
      (fd, buffer, size, offset))
NOTED(pwrite,
      ssize_t,
      (int fd, const void *bytes, size_t size, off_t offset),
      (fd, bytes, size, offset))
NOTED(size_limit, uint64_t, (void), ())
NOTED(ftruncate, int, (int fd, off_t size), (fd, size))
NOTED(fdatasync, int, (int fd), (fd))
NOTED(fsync, int, (int fd), (fd))
NOTED(fstat, int, (int fd, struct stat *stat_out), (fd, stat_out))
NOTED(fchown, int, (int fd, uid_t owner, gid_t group), (fd, owner, group))
NOTED(fchmod, int, (int fd, mode_t mode), (fd, mode))
NOTED(get_access_list,
      ssize_t,
      (int fd, void *buffer, size_t size),
      (fd, buffer, size))
NOTED(set_access_list,
      int,
      (int fd, const void *bytes, size_t size),
      (fd, bytes, size))
NOTED(mkdir, int, (const char *path, mode_t mode), (path, mode))
NOTED(renameat,
      int,
      (int dir_fd, const char *from, const char *to),
      (dir_fd, from, to))
NOTED(unlinkat, int, (int dir_fd, const char *name), (dir_fd, name))
NOTED(hold, int, (int fd), (fd))
NOTED(is_held, bool, (int fd), (fd))
NOTED(allocate_blocks, int, (int fd, off_t size), (fd, size))
NOTED(mmap,
      void *,
      (size_t size, bool is_writable, int fd, off_t offset),
      (size, is_writable, fd, offset))
NOTED(munmap, int, (void *memory, size_t size), (memory, size))
NOTED(populate, int, (void *memory, size_t size), (memory, size))
NOTED(file_end, off_t, (int fd), (fd))
NOTED(next_data, off_t, (int fd, off_t offset), (fd, offset))
NOTED(mount_id, uint64_t, (int fd), (fd))
NOTED(boot_id, int, (uint64_t * id_out), (id_out))
NOTED(opendir, DIR *, (int dir_fd), (dir_fd))
NOTED(readdir, struct dirent *, (DIR * directory), (directory))
NOTED(closedir, int, (DIR * directory), (directory))
NOTED(file_system_type, long, (int fd), (fd))
NOTED(getrandom, ssize_t, (void *buffer, size_t size), (buffer, size))
NOTED(start_thread,
      int,
      (pthread_t * thread, void *(*run)(void *), void *context),
      (thread, run, context))

static int noted_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    note("fstatat", name);
    return real->fstatat(dir_fd, name, stat_out);
}

static int noted_flock(int fd, int operation)
{
    note("flock", operation == LOCK_UN ? "un" : "");
    return real->flock(fd, operation);
}

static void noted_birth(int fd, struct kv_io_birth *birth_out)
{
    note("birth", "");
    real->birth(fd, birth_out);
}

static void noted_sleep_ns(int64_t ns)
{
    note("sleep", "");
    now_ns += ns;
}

/* Clocks are no system calls, but on the oddest machines. */
static int64_t still_clock_ns(void)
{
    return now_ns;
}

static void take_notes(void)
{
    real = kv_io_system_table();
    now_ns = INT64_C(1000000000000);
    table = (struct kv_io_table){.openat = noted_openat,
                                 .close = noted_close,
                                 .dup_high = noted_dup_high,
                                 .pread = noted_pread,
                                 .pwrite = noted_pwrite,
                                 .size_limit = noted_size_limit,
                                 .ftruncate = noted_ftruncate,
                                 .fdatasync = noted_fdatasync,
                                 .fsync = noted_fsync,
                                 .fstat = noted_fstat,
                                 .fstatat = noted_fstatat,
                                 .fchown = noted_fchown,
                                 .fchmod = noted_fchmod,
                                 .get_access_list = noted_get_access_list,
                                 .set_access_list = noted_set_access_list,
                                 .mkdir = noted_mkdir,
                                 .renameat = noted_renameat,
                                 .unlinkat = noted_unlinkat,
                                 .flock = noted_flock,
                                 .hold = noted_hold,
                                 .is_held = noted_is_held,
                                 .allocate_blocks = noted_allocate_blocks,
                                 .mmap = noted_mmap,
                                 .munmap = noted_munmap,
                                 .populate = noted_populate,
                                 .file_end = noted_file_end,
                                 .next_data = noted_next_data,
                                 .mount_id = noted_mount_id,
                                 .birth = noted_birth,
                                 .boot_id = noted_boot_id,
                                 .clock_coarse_ns = still_clock_ns,
                                 .opendir = noted_opendir,
                                 .readdir = noted_readdir,
                                 .closedir = noted_closedir,
                                 .file_system_type = noted_file_system_type,
                                 .clock_ns = still_clock_ns,
                                 .clock_real_ms = real->clock_real_ms,
                                 .sleep_ns = noted_sleep_ns,
                                 .getrandom = noted_getrandom,
                                 .start_thread = noted_start_thread,
                                 .malloc = real->malloc,
                                 .free = real->free,
                                 .step = real->step};
    kv_io_swap_table(&table);
}

/* --- The store --- */

static kvstore *store;

static void open_as(const char *path, int sync, bool is_exclusive)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = sync;
    options.exclusive = is_exclusive;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    assert_int_equal(kvstore_open(path, &options, &store), KVSTORE_OK);
}

static void set(const char *key, const char *value)
{
    assert_int_equal(kvstore_set(store, key, strlen(key), value, strlen(value)),
                     KVSTORE_OK);
}

/* Makes a write after some time, and checks its calls. value NULL: a remove. */
static void check_write(int64_t after_ms,
                        const char *key,
                        const char *value,
                        const char *calls)
{
    now_ns += after_ms * NS_PER_MS;
    noted[0] = '\0';
    if (value != NULL) {
        set(key, value);
    } else {
        assert_int_equal(kvstore_remove(store, key, strlen(key)), KVSTORE_OK);
    }
    assert_string_equal(noted, calls);
}

/* A new key, an overwrite, a remove, and what was removed comes back. */
static void check_writes(int64_t after_ms, const char *calls)
{
    check_write(after_ms, "new", "1", calls);
    check_write(after_ms, "new", "2", calls);
    check_write(after_ms, "a", "2", calls);
    check_write(after_ms, "new", NULL, calls);
    check_write(after_ms, "new", "3", calls);
    check_write(after_ms, "new", NULL, calls);
}

#define LOOKS "fstatat store.index, fstatat store.log, size_limit"

/* --- The tests --- */

static void unsynced_write_makes_three_calls(void **state)
{
    open_as(*state, KVSTORE_SYNC_NONE, false);
    set("a", "1");

    check_writes(0, "flock, pwrite, flock un");
    check_write(9, "a", "3", "flock, pwrite, flock un");
}

static void unsynced_write_looks_at_both_names_when_10_ms_have_passed(
    void **state)
{
    open_as(*state, KVSTORE_SYNC_NONE, false);
    set("a", "1");

    check_writes(10, "flock, " LOOKS ", pwrite, flock un");
    check_write(0, "a", "3", "flock, pwrite, flock un");
}

static void durable_write_always_looks_and_syncs_once(void **state)
{
    open_as(*state, KVSTORE_SYNC_ALWAYS, false);
    set("a", "1");

    check_writes(0, "flock, " LOOKS ", pwrite, fdatasync, flock un");
    check_writes(10, "flock, " LOOKS ", pwrite, fdatasync, flock un");
}

/* A slot does not say how long such a record is. */
static void overwrite_of_a_long_record_reads_its_end_once(void **state)
{
    static char value[5000];
    memset(value, 'v', sizeof value - 1);
    open_as(*state, KVSTORE_SYNC_NONE, false);
    set("a", value);
    set("a", value);

    check_write(0, "a", "short", "flock, pread, pwrite, flock un");
    check_write(0, "a", "shorter", "flock, pwrite, flock un");
}

static void exclusive_unsynced_write_makes_none(void **state)
{
    open_as(*state, KVSTORE_SYNC_NONE, true);
    for (int i = 0; i < WARM_UP; i++) {
        set("a", "1");
    }

    check_writes(0, "");
    check_write(10, "a", "4", LOOKS);
    check_write(0, "a", "5", "");
}

static void exclusive_durable_write_takes_no_lock(void **state)
{
    open_as(*state, KVSTORE_SYNC_ALWAYS, true);
    for (int i = 0; i < WARM_UP; i++) {
        set("a", "1");
    }

    check_writes(0, LOOKS ", pwrite, fdatasync");
}

/* --- Set-up --- */

static int set_up(void **state)
{
    static char path[SCRATCH_PATH_SIZE];
    scratch_make(path);
    take_notes();
    *state = path;
    return 0;
}

static int tear_down(void **state)
{
    kvstore_close(store);
    store = NULL;
    kv_io_swap_table(kv_io_system_table());
    scratch_remove(*state);
    return 0;
}

#define CALLS_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLS_TEST(unsynced_write_makes_three_calls),
        CALLS_TEST(unsynced_write_looks_at_both_names_when_10_ms_have_passed),
        CALLS_TEST(durable_write_always_looks_and_syncs_once),
        CALLS_TEST(overwrite_of_a_long_record_reads_its_end_once),
        CALLS_TEST(exclusive_unsynced_write_makes_none),
        CALLS_TEST(exclusive_durable_write_takes_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
