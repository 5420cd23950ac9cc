/* SPDX-License-Identifier: MIT */

/* The table of the system's own calls. The only file that may use what is not
 * in POSIX.1-2008. */

#define _GNU_SOURCE

#include "os/system.h"

#include "os/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int system_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    return openat(dir_fd, name, flags, mode);
}

static int system_dup_high(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* At its limit on file sizes a process gets SIGXFSZ, which would kill a host
 * program. The signal is sent to the thread that writes, so it can be blocked
 * and consumed here. */
struct held_signal {
    sigset_t size_signal;
    sigset_t old_mask;
    bool was_pending;
};

static void hold_signal(struct held_signal *held)
{
    sigset_t pending;
    sigemptyset(&held->size_signal);
    sigaddset(&held->size_signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &held->size_signal, &held->old_mask);
    sigpending(&pending);
    held->was_pending = sigismember(&pending, SIGXFSZ) == 1;
}

/* Keeps errno. */
static void let_go_of_signal(const struct held_signal *held, bool has_failed)
{
    int call_errno = errno;
    if (has_failed && call_errno == EFBIG && !held->was_pending) {
        static const struct timespec no_wait = {0};
        (void)sigtimedwait(&held->size_signal, NULL, &no_wait);
    }
    pthread_sigmask(SIG_SETMASK, &held->old_mask, NULL);
    errno = call_errno;
}

static ssize_t pwrite_without_signal(int fd,
                                     const void *bytes,
                                     size_t size,
                                     off_t offset)
{
    struct held_signal held;
    hold_signal(&held);
    ssize_t written = pwrite(fd, bytes, size, offset);
    let_go_of_signal(&held, written < 0);
    return written;
}

static ssize_t system_pwrite(int fd,
                             const void *bytes,
                             size_t size,
                             off_t offset)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY &&
        (uint64_t)offset + size > limit.rlim_cur) {
        return pwrite_without_signal(fd, bytes, size, offset);
    }
    return pwrite(fd, bytes, size, offset);
}

/* Signals are left to the host program's own threads. */
static int system_start_thread(pthread_t *thread,
                               void *(*run)(void *),
                               void *context)
{
    sigset_t all;
    sigset_t old_mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_mask);
    int result = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    return result;
}

/* Does not ask for the times. Once they have been read, recent kernels record a
 * new one at the next write, and so a sync that has nothing else to record
 * writes the inode. */
static int system_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    struct statx found;
    if (statx(dir_fd,
              name,
              AT_SYMLINK_NOFOLLOW,
              STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID |
                  STATX_INO | STATX_SIZE,
              &found) != 0) {
        /* Some sandboxes do not know the call. */
        return errno == EPERM || errno == ENOSYS
                   ? fstatat(dir_fd, name, stat_out, AT_SYMLINK_NOFOLLOW)
                   : -1;
    }
    *stat_out = (struct stat){
        .st_dev = makedev(found.stx_dev_major, found.stx_dev_minor),
        .st_ino = (ino_t)found.stx_ino,
        .st_mode = found.stx_mode,
        .st_nlink = (nlink_t)found.stx_nlink,
        .st_uid = found.stx_uid,
        .st_gid = found.stx_gid,
        .st_size = (off_t)found.stx_size};
    return 0;
}

#define ACCESS_LIST "system.posix_acl_access"

/* If there are no lists on this system or file system, the size is 0. */
static ssize_t system_get_access_list(int fd, void *buffer, size_t size)
{
    ssize_t result = fgetxattr(fd, ACCESS_LIST, buffer, size);
    bool has_none = result < 0 && (errno == ENODATA || errno == ENOTSUP ||
                                   errno == ENOSYS || errno == EPERM);
    return has_none ? 0 : result;
}

static int system_set_access_list(int fd, const void *bytes, size_t size)
{
    return size == 0 ? fremovexattr(fd, ACCESS_LIST)
                     : fsetxattr(fd, ACCESS_LIST, bytes, size, 0);
}

static int system_renameat(int dir_fd, const char *from, const char *to)
{
    return renameat(dir_fd, from, dir_fd, to);
}

static int system_unlinkat(int dir_fd, const char *name)
{
    return unlinkat(dir_fd, name, 0);
}

static long system_file_system_type(int fd)
{
    struct statfs file_system;
    return fstatfs(fd, &file_system) == 0 ? (long)file_system.f_type : -1;
}

static int64_t system_clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_clock_real_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void system_sleep_ns(int64_t ns)
{
    struct timespec duration = {.tv_sec = (time_t)(ns / 1000000000),
                                .tv_nsec = (long)(ns % 1000000000)};
    while (nanosleep(&duration, &duration) != 0 && errno == EINTR) {
    }
}

static ssize_t system_getrandom(void *buffer, size_t size)
{
    return getrandom(buffer, size, 0);
}

static int system_allocate_blocks(int fd, off_t size)
{
    struct held_signal held;
    hold_signal(&held);
    int result = fallocate(fd, 0, 0, size);
    let_go_of_signal(&held, result != 0);
    return result;
}

static void *system_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    return mmap(NULL, size, protection, MAP_SHARED, fd, offset);
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int system_populate(void *memory, size_t size)
{
    return madvise(memory, size, MADV_POPULATE_WRITE);
}

static off_t system_file_end(int fd)
{
    return lseek(fd, 0, SEEK_END);
}

static off_t system_next_data(int fd, off_t offset)
{
    return lseek(fd, offset, SEEK_DATA);
}

/* Since Linux 6.8 mounts have numbers that are never used again. An older
 * kernel gives numbers that are reused, and one before 5.8 gives none. */
#define MOUNT_ID_UNIQUE 0x4000u

static int system_mount_id(int fd, uint64_t *id_out)
{
    struct statx answer;
    *id_out = 0;
    if (statx(fd,
              "",
              AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
              STATX_MNT_ID | MOUNT_ID_UNIQUE,
              &answer) != 0) {
        return errno == ENOSYS ? 0 : -1;
    }
    if ((answer.stx_mask & (STATX_MNT_ID | MOUNT_ID_UNIQUE)) != 0) {
        *id_out = answer.stx_mnt_id;
    }
    return 0;
}

/* The kernel fills 32 bits of the number, whatever the size of a long. */
static void system_birth(int fd, struct kv_io_birth *birth_out)
{
    struct statx answer;
    *birth_out = (struct kv_io_birth){.time_ns = 0};
    if (statx(
            fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BTIME, &answer) ==
            0 &&
        (answer.stx_mask & STATX_BTIME) != 0) {
        birth_out->time_ns =
            (uint64_t)answer.stx_btime.tv_sec * UINT64_C(1000000000) +
            answer.stx_btime.tv_nsec;
    }
    union {
        long whole;
        uint32_t low;
    } generation = {.whole = 0};
    if (ioctl(fd, FS_IOC_GETVERSION, &generation) == 0) {
        birth_out->generation = (uint64_t)generation.low + 1;
    }
}

/* A UUID as text, whose hexadecimal digits are packed into two words. */
static int system_boot_id(uint64_t id_out[2])
{
    char text[37] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    id_out[0] = 0;
    id_out[1] = 0;
    for (ssize_t i = 0; i < size; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, text[i]);
        if (digit != NULL && text[i] != '\0') {
            id_out[0] = id_out[0] << 4 | id_out[1] >> 60;
            id_out[1] = id_out[1] << 4 | (uint64_t)(digit - digits);
        }
    }
    return 0;
}

static int64_t system_clock_coarse_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static DIR *system_opendir(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL && fd >= 0) {
        (void)close(fd);
    }
    return directory;
}

#ifdef KV_IO_SWAPPABLE
static void system_step(const char *name)
{
    (void)name;
}
#endif

static const struct kv_io_table system_table = {
    .openat = system_openat,
    .close = close,
    .dup_high = system_dup_high,
    .pread = pread,
    .pwrite = system_pwrite,
    .ftruncate = ftruncate,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .fstat = fstat,
    .fstatat = system_fstatat,
    .fchown = fchown,
    .fchmod = fchmod,
    .get_access_list = system_get_access_list,
    .set_access_list = system_set_access_list,
    .mkdir = mkdir,
    .renameat = system_renameat,
    .unlinkat = system_unlinkat,
    .flock = flock,
    .allocate_blocks = system_allocate_blocks,
    .mmap = system_mmap,
    .munmap = munmap,
    .populate = system_populate,
    .file_end = system_file_end,
    .next_data = system_next_data,
    .mount_id = system_mount_id,
    .birth = system_birth,
    .boot_id = system_boot_id,
    .clock_coarse_ns = system_clock_coarse_ns,
    .opendir = system_opendir,
    .readdir = readdir,
    .closedir = closedir,
    .file_system_type = system_file_system_type,
    .clock_ns = system_clock_ns,
    .clock_real_ms = system_clock_real_ms,
    .sleep_ns = system_sleep_ns,
    .start_thread = system_start_thread,
    .getrandom = system_getrandom,
    .malloc = malloc,
    .free = free,
#ifdef KV_IO_SWAPPABLE
    .step = system_step,
#endif
};

#ifdef KV_IO_SWAPPABLE
static const struct kv_io_table *table = &system_table;

const struct kv_io_table *kv_io_system_table(void)
{
    return &system_table;
}

void kv_io_swap_table(const struct kv_io_table *new_table)
{
    table = new_table;
}

void kv_io_step(const char *name)
{
    table->step(name);
}
#else
static const struct kv_io_table *const table = &system_table;
#endif

const struct kv_io_table *kv_io_table(void)
{
    return table;
}

/* --- Memory --- */

void *kv_io_allocate(size_t size)
{
    void *memory = kv_io_table()->malloc(size);
    if (memory == NULL) {
        (void)kv_fail(KVSTORE_NO_MEMORY, "out of memory for %zu bytes", size);
    }
    return memory;
}

void kv_io_free(void *memory)
{
    kv_io_table()->free(memory);
}

int64_t kv_io_clock_coarse_ns(void)
{
    return kv_io_table()->clock_coarse_ns();
}

uint64_t kv_io_process_id(void)
{
    return (uint64_t)getpid();
}

int64_t kv_io_clock_ns(void)
{
    return kv_io_table()->clock_ns();
}

int64_t kv_io_clock_real_ms(void)
{
    return kv_io_table()->clock_real_ms();
}

void kv_io_sleep_ns(int64_t ns)
{
    kv_io_table()->sleep_ns(ns);
}

kvstore_status kv_io_start_thread(pthread_t *thread,
                                  void *(*run)(void *context),
                                  void *context)
{
    int result = kv_io_table()->start_thread(thread, run, context);
    return result == 0 ? KVSTORE_OK
                       : kv_fail_errno(KVSTORE_NO_MEMORY,
                                       result,
                                       "cannot start a thread");
}

kvstore_status kv_io_random(uint64_t *random_out)
{
    ssize_t size = 0;
    do {
        size = kv_io_table()->getrandom(random_out, sizeof *random_out);
    } while (size < 0 && errno == EINTR);
    if (size != (ssize_t)sizeof *random_out) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot get a random seed");
    }
    return KVSTORE_OK;
}
