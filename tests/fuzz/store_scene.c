/* SPDX-License-Identifier: MIT */

/* The directory, and the table that leaves nothing to chance. */

#include "store_scene.h"

#include "fuzz.h"
#include "log_model.h"
#include "os/file.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[SCRATCH_PATH_SIZE];
static struct kv_io_table table;
static int64_t now_ns;
static uint64_t random_count;

/* How long a look at the clock takes: so who waits without a sleep gets
 * there. */
#define LOOK_NS INT64_C(50000)

static int64_t slow_clock_ns(void)
{
    now_ns += LOOK_NS;
    return now_ns;
}

static int64_t still_clock_ns(void)
{
    return now_ns;
}

static void sleep_at_once(int64_t ns)
{
    now_ns += ns;
}

static int64_t still_clock_real_ms(void)
{
    return LOG_MODEL_NOW_MS;
}

/* --- Calls that may fail --- */

static struct {
    unsigned calls_left; /* 0: none fails. */
    int error;
    bool has_failed;
} fault;

void store_scene_fail_at(unsigned n, int error)
{
    fault.calls_left = n;
    fault.error = error;
    fault.has_failed = false;
}

bool store_scene_stop_failing(void)
{
    bool has_failed = fault.has_failed;
    store_scene_fail_at(0, 0);
    return has_failed;
}

static bool fails(void)
{
    if (fault.calls_left == 0 || --fault.calls_left > 0) {
        return false;
    }
    fault.has_failed = true;
    errno = fault.error;
    return true;
}

static int sync_nothing(int fd)
{
    (void)fd;
    return fails() ? -1 : 0;
}

static int open_or_fail(int dir_fd, const char *name, int flags, mode_t mode)
{
    return fails() ? -1
                   : kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static ssize_t read_or_fail(int fd, void *buffer, size_t size, off_t offset)
{
    return fails() ? -1 : kv_io_system_table()->pread(fd, buffer, size, offset);
}

static ssize_t write_or_fail(int fd,
                             const void *bytes,
                             size_t size,
                             off_t offset)
{
    return fails() ? -1 : kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

static int cut_or_fail(int fd, off_t size)
{
    return fails() ? -1 : kv_io_system_table()->ftruncate(fd, size);
}

static int rename_or_fail(int dir_fd, const char *from, const char *to)
{
    return fails() ? -1 : kv_io_system_table()->renameat(dir_fd, from, to);
}

static int unlink_or_fail(int dir_fd, const char *name)
{
    return fails() ? -1 : kv_io_system_table()->unlinkat(dir_fd, name);
}

static void *map_or_fail(size_t size, bool is_writable, int fd, off_t offset)
{
    return fails() ? MAP_FAILED
                   : kv_io_system_table()->mmap(size, is_writable, fd, offset);
}

static ssize_t count_random(void *buffer, size_t size)
{
    uint64_t number = ++random_count * UINT64_C(0x9e3779b97f4a7c15);
    memset(buffer, 0, size);
    memcpy(buffer, &number, size < sizeof number ? size : sizeof number);
    return (ssize_t)size;
}

static int same_boot_id(uint64_t *id_out)
{
    *id_out = 1;
    return 0;
}

static uint64_t same_mount_id(int fd)
{
    (void)fd;
    return 3;
}

/* The logs are small: a call that asks for this much was lied to. */
#define FILE_SIZE_MAX ((off_t)32 << 20)
#define MEMORY_SIZE_MAX ((size_t)32 << 20)

static int allocate_few_blocks(int fd, off_t size)
{
    fuzz_check(size <= FILE_SIZE_MAX, "an index is as large as its log needs");
    return fails() ? -1 : kv_io_system_table()->allocate_blocks(fd, size);
}

static void *allocate_little(size_t size)
{
    fuzz_check(size <= MEMORY_SIZE_MAX, "a small log takes little memory");
    return fails() ? NULL : malloc(size);
}

void store_scene_begin(void)
{
    if (path[0] != '\0') {
        return;
    }
    scratch_make(path);
    table = *kv_io_system_table();
    table.clock_ns = slow_clock_ns;
    table.clock_coarse_ns = still_clock_ns;
    table.clock_real_ms = still_clock_real_ms;
    table.sleep_ns = sleep_at_once;
    table.fsync = sync_nothing;
    table.fdatasync = sync_nothing;
    table.openat = open_or_fail;
    table.pread = read_or_fail;
    table.pwrite = write_or_fail;
    table.ftruncate = cut_or_fail;
    table.renameat = rename_or_fail;
    table.unlinkat = unlink_or_fail;
    table.mmap = map_or_fail;
    table.getrandom = count_random;
    table.boot_id = same_boot_id;
    table.mount_id = same_mount_id;
    table.allocate_blocks = allocate_few_blocks;
    table.malloc = allocate_little;
    kv_io_swap_table(&table);
    (void)atexit(store_scene_end);
    fuzz_at_failure(store_scene_end);
}

void store_scene_end(void)
{
    if (path[0] != '\0') {
        scratch_remove(path);
        path[0] = '\0';
    }
}

void store_scene_reset(void)
{
    scratch_empty(path);
    now_ns = INT64_C(1000000000000);
    random_count = 0;
    store_scene_fail_at(0, 0);
}

const char *store_scene_path(void)
{
    return path;
}

void store_scene_write(const char *name, const void *bytes, size_t size)
{
    scratch_write(path, name, bytes, size);
}

char *store_scene_read(const char *name, size_t *size_out)
{
    return scratch_read(path, name, size_out);
}

static const char *path_of(const char *name)
{
    static char file_path[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(file_path, sizeof file_path, "%s/%s", path, name);
    return file_path;
}

void store_scene_remove(const char *name)
{
    (void)unlink(path_of(name));
}

void store_scene_overwrite(const char *name, const void *bytes, size_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CLOEXEC);
    fuzz_check(fd >= 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size,
               "a file can be overwritten");
    (void)close(fd);
}

void store_scene_replace(const char *name, const void *bytes, size_t size)
{
    char old[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(old, sizeof old, "%s", path_of("replaced"));
    /* The old one stays until the new one has an inode of its own. */
    fuzz_check(rename(path_of(name), old) == 0, "a file can be renamed");
    scratch_write(path, name, bytes, size);
    (void)unlink(old);
}

void store_scene_identity(const char *name,
                          uint64_t *device_out,
                          uint64_t *inode_out)
{
    struct stat stat_of;
    fuzz_check(stat(path_of(name), &stat_of) == 0, "a file can be looked at");
    *device_out = (uint64_t)stat_of.st_dev;
    *inode_out = (uint64_t)stat_of.st_ino;
}

kvstore_status store_scene_open(bool is_read_only,
                                bool is_exclusive,
                                kvstore **store_out)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    options.read_only = is_read_only;
    options.exclusive = is_exclusive;
    options.lock_timeout_ms = -1;
    return kvstore_open(path, &options, store_out);
}
