/* SPDX-License-Identifier: MIT */

/* Calls between two marks each. */

#define _GNU_SOURCE

#include "announced_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MEMBERS_MAX 64

static bool is_counting;
static struct {
    const char *name;
    uint64_t calls;
} counts[MEMBERS_MAX];
static void (*planted)(void);

void announced_mark(const char *word, const char *name)
{
    char path[96];
    int kept_errno = errno;
    (void)snprintf(path, sizeof path, "/kvstore-mark/%s/%s", word, name);
    if (strcmp(word, "end") == 0) {
        is_counting = false;
    }
    (void)access(path, F_OK);
    if (strcmp(word, "begin") == 0) {
        is_counting = true;
    }
    errno = kept_errno;
}

/* --- What is planted --- */

static void plant_fsync(void)
{
    (void)fsync(-1);
}

static void plant_open(void)
{
    (void)open("/kvstore-planted", O_RDONLY | O_CLOEXEC);
}

static void plant_flock(void)
{
    (void)flock(-1, LOCK_SH);
}

static void plant_mmap(void)
{
    (void)mmap(NULL, 4096, PROT_READ, MAP_SHARED, -1, 0);
}

static void plant_sleep(void)
{
    const struct timespec moment = {.tv_nsec = 1};
    (void)nanosleep(&moment, NULL);
}

static void plant_stat(void)
{
    struct stat found;
    (void)stat("/kvstore-planted", &found);
}

bool announced_plant(const char *call)
{
    static const struct {
        const char *call;
        void (*plant)(void);
    } plants[] = {{"fsync", plant_fsync},
                  {"open", plant_open},
                  {"flock", plant_flock},
                  {"mmap", plant_mmap},
                  {"sleep", plant_sleep},
                  {"stat", plant_stat}};
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
        if (strcmp(plants[i].call, call) == 0) {
            planted = plants[i].plant;
            return true;
        }
    }
    return false;
}

/* --- The calls --- */

static void count(const char *name)
{
    size_t i = 0;
    while (counts[i].name != NULL && strcmp(counts[i].name, name) != 0) {
        i++;
    }
    counts[i].name = name;
    counts[i].calls++;
}

static void enter(const char *name)
{
    if (is_counting) {
        if (planted != NULL) {
            planted();
        }
        count(name);
        announced_mark("enter", name);
    }
}

static void leave(const char *name)
{
    if (is_counting) {
        announced_mark("leave", name);
    }
}

void announced_print(void)
{
    for (size_t i = 0; counts[i].name != NULL; i++) {
        (void)printf(
            "%s %llu\n", counts[i].name, (unsigned long long)counts[i].calls);
    }
}

#define ANNOUNCED(call, type, parameters, arguments) \
    static type announced_##call parameters \
    { \
        enter(#call); \
        type result = kv_io_system_table()->call arguments; \
        leave(#call); \
        return result; \
    }

#define ANNOUNCED_VOID(call, parameters, arguments) \
    static void announced_##call parameters \
    { \
        enter(#call); \
        kv_io_system_table()->call arguments; \
        leave(#call); \
    }

ANNOUNCED(openat,
          int,
          (int dir_fd, const char *name, int flags, mode_t mode),
          (dir_fd, name, flags, mode))
ANNOUNCED(close, int, (int fd), (fd))
ANNOUNCED(dup_high, int, (int fd), (fd))
ANNOUNCED(pread,
          ssize_t,
          (int fd, void *buffer, size_t size, off_t offset),
          (fd, buffer, size, offset))
ANNOUNCED(pwrite,
          ssize_t,
          (int fd, const void *bytes, size_t size, off_t offset),
          (fd, bytes, size, offset))
ANNOUNCED(size_limit, uint64_t, (void), ())
ANNOUNCED(ftruncate, int, (int fd, off_t size), (fd, size))
ANNOUNCED(fdatasync, int, (int fd), (fd))
ANNOUNCED(fsync, int, (int fd), (fd))
ANNOUNCED(fstat, int, (int fd, struct stat *stat_out), (fd, stat_out))
ANNOUNCED(fstatat,
          int,
          (int dir_fd, const char *name, struct stat *stat_out),
          (dir_fd, name, stat_out))
ANNOUNCED(fchown, int, (int fd, uid_t owner, gid_t group), (fd, owner, group))
ANNOUNCED(fchmod, int, (int fd, mode_t mode), (fd, mode))
ANNOUNCED(get_access_list,
          ssize_t,
          (int fd, void *buffer, size_t size),
          (fd, buffer, size))
ANNOUNCED(set_access_list,
          int,
          (int fd, const void *bytes, size_t size),
          (fd, bytes, size))
ANNOUNCED(mkdir, int, (const char *path, mode_t mode), (path, mode))
ANNOUNCED(renameat,
          int,
          (int dir_fd, const char *from, const char *to),
          (dir_fd, from, to))
ANNOUNCED(unlinkat, int, (int dir_fd, const char *name), (dir_fd, name))
ANNOUNCED(flock, int, (int fd, int operation), (fd, operation))
ANNOUNCED(hold, int, (int fd), (fd))
ANNOUNCED(is_held, bool, (int fd), (fd))
ANNOUNCED(allocate_blocks, int, (int fd, off_t size), (fd, size))
ANNOUNCED(mmap,
          void *,
          (size_t size, bool is_writable, int fd, off_t offset),
          (size, is_writable, fd, offset))
ANNOUNCED(munmap, int, (void *memory, size_t size), (memory, size))
ANNOUNCED(populate, int, (void *memory, size_t size), (memory, size))
ANNOUNCED(file_end, off_t, (int fd), (fd))
ANNOUNCED(next_data, off_t, (int fd, off_t offset), (fd, offset))
ANNOUNCED(mount_id, uint64_t, (int fd), (fd))
ANNOUNCED_VOID(birth, (int fd, struct kv_io_birth *birth_out), (fd, birth_out))
ANNOUNCED(boot_id, int, (uint64_t * id_out), (id_out))
ANNOUNCED(opendir, DIR *, (int dir_fd), (dir_fd))
ANNOUNCED(readdir, struct dirent *, (DIR * directory), (directory))
ANNOUNCED(closedir, int, (DIR * directory), (directory))
ANNOUNCED(file_system_type, long, (int fd), (fd))
ANNOUNCED(getrandom, ssize_t, (void *buffer, size_t size), (buffer, size))
ANNOUNCED(start_thread,
          int,
          (pthread_t * thread, void *(*run)(void *), void *context),
          (thread, run, context))
ANNOUNCED(malloc, void *, (size_t size), (size))
ANNOUNCED(realloc, void *, (void *memory, size_t size), (memory, size))
ANNOUNCED_VOID(free, (void *memory), (memory))

const struct kv_io_table *announced_table(void)
{
    static struct kv_io_table table;
    table = *kv_io_system_table();
    table.openat = announced_openat;
    table.close = announced_close;
    table.dup_high = announced_dup_high;
    table.pread = announced_pread;
    table.pwrite = announced_pwrite;
    table.size_limit = announced_size_limit;
    table.ftruncate = announced_ftruncate;
    table.fdatasync = announced_fdatasync;
    table.fsync = announced_fsync;
    table.fstat = announced_fstat;
    table.fstatat = announced_fstatat;
    table.fchown = announced_fchown;
    table.fchmod = announced_fchmod;
    table.get_access_list = announced_get_access_list;
    table.set_access_list = announced_set_access_list;
    table.mkdir = announced_mkdir;
    table.renameat = announced_renameat;
    table.unlinkat = announced_unlinkat;
    table.flock = announced_flock;
    table.hold = announced_hold;
    table.is_held = announced_is_held;
    table.allocate_blocks = announced_allocate_blocks;
    table.mmap = announced_mmap;
    table.munmap = announced_munmap;
    table.populate = announced_populate;
    table.file_end = announced_file_end;
    table.next_data = announced_next_data;
    table.mount_id = announced_mount_id;
    table.birth = announced_birth;
    table.boot_id = announced_boot_id;
    table.opendir = announced_opendir;
    table.readdir = announced_readdir;
    table.closedir = announced_closedir;
    table.file_system_type = announced_file_system_type;
    table.getrandom = announced_getrandom;
    table.start_thread = announced_start_thread;
    table.malloc = announced_malloc;
    table.realloc = announced_realloc;
    table.free = announced_free;
    return &table;
}
