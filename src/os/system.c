/* SPDX-License-Identifier: MIT */

/* The table of the system's own calls. The only file that may use what is not
 * in POSIX.1-2008. */

#define _GNU_SOURCE

#include "os/system.h"

#include "os/error.h"
#include "os/size_signal.h"
#include "os/statx.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

bool kv_io_is_unavailable(int call_errno)
{
    return call_errno == ENOSYS || call_errno == EOPNOTSUPP ||
           call_errno == EPERM || call_errno == EACCES || call_errno == EINVAL;
}

static int system_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    return openat(dir_fd, name, flags, mode);
}

static int system_dup_high(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static struct flock first_byte(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
}

static int system_hold(int fd)
{
    struct flock lock = first_byte(F_RDLCK);
    return fcntl(fd, F_OFD_SETLK, &lock);
}

static bool system_is_held(int fd)
{
    struct flock lock = first_byte(F_WRLCK);
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static uint64_t system_size_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 ? 0
           : limit.rlim_cur == RLIM_INFINITY    ? UINT64_MAX
                                                : (uint64_t)limit.rlim_cur;
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

static int ask_kernel(int dir_fd,
                      const char *name,
                      int flags,
                      unsigned int mask,
                      struct kv_statx *answer_out)
{
    return (int)syscall(SYS_statx, dir_fd, name, flags, mask, answer_out);
}

/* Does not ask for the times. Once they have been read, recent kernels record a
 * new one at the next write, and so a sync that has nothing else to record
 * writes the inode. */
static int system_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    struct kv_statx found;
    if (ask_kernel(
            dir_fd, name, AT_SYMLINK_NOFOLLOW, KV_STATX_NO_TIMES, &found) !=
        0) {
        /* Old kernels and sandboxes refuse the call, for reasons of all kinds. */
        return fstatat(dir_fd, name, stat_out, AT_SYMLINK_NOFOLLOW);
    }
    *stat_out =
        (struct stat){.st_dev = makedev(found.device_major, found.device_minor),
                      .st_ino = (ino_t)found.inode,
                      .st_mode = found.mode,
                      .st_nlink = (nlink_t)found.link_count,
                      .st_uid = found.uid,
                      .st_gid = found.gid,
                      .st_size = (off_t)found.size};
    return 0;
}

#define ACCESS_LIST "system.posix_acl_access"

/* If there are no lists on this system or file system, the size is 0. */
static ssize_t system_get_access_list(int fd, void *buffer, size_t size)
{
    ssize_t result = fgetxattr(fd, ACCESS_LIST, buffer, size);
    bool has_none =
        result < 0 && (errno == ENODATA || kv_io_is_unavailable(errno));
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
    struct kv_size_signal held;
    kv_size_signal_hold(&held);
    int result = fallocate(fd, 0, 0, size);
    kv_size_signal_release(&held, result != 0);
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

static uint64_t system_mount_id(int fd)
{
    const int flags = AT_EMPTY_PATH | KV_STATX_DONT_SYNC;
    const unsigned int mask = KV_STATX_MOUNT | KV_STATX_MOUNT_UNIQUE;
    struct kv_statx answer;
    if (ask_kernel(fd, "", flags, mask, &answer) == 0 &&
        (answer.answered & mask) != 0 && answer.mount_id != 0) {
        return answer.mount_id;
    }
    /* An older call tells it, too, even where it has no room for the rest. */
    struct file_handle none = {.handle_bytes = 0};
    int mount_id = 0;
    return name_to_handle_at(fd, "", &none, &mount_id, AT_EMPTY_PATH) != 0 &&
                   errno == EOVERFLOW && mount_id > 0
               ? (uint64_t)mount_id
               : 0;
}

/* FS_IOC_GETVERSION of linux/fs.h. C libraries disagree on the type that ioctl
 * takes. The kernel fills 32 bits, whatever the size of a long. */
#define GET_GENERATION _IOR('v', 1, long)

static void system_birth(int fd, struct kv_io_birth *birth_out)
{
    const int flags = AT_EMPTY_PATH | KV_STATX_DONT_SYNC;
    struct kv_statx answer;
    *birth_out = (struct kv_io_birth){.time_ns = 0};
    if (ask_kernel(fd, "", flags, KV_STATX_BIRTH, &answer) == 0 &&
        (answer.answered & KV_STATX_BIRTH) != 0) {
        birth_out->time_ns =
            (uint64_t)answer.birth_s * UINT64_C(1000000000) + answer.birth_ns;
    }
    union {
        long whole;
        uint32_t low;
    } generation = {.whole = 0};
    if (syscall(SYS_ioctl, fd, GET_GENERATION, &generation) == 0) {
        birth_out->generation = (uint64_t)generation.low + 1;
    }
}

#define UUID_TEXT_SIZE 36

/* A random UUID as text, whose hexadecimal digits are mixed into a word. That
 * the process has no descriptor left says nothing about the system. */
static int system_boot_id(uint64_t *id_out)
{
    char text[UUID_TEXT_SIZE + 1] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    *id_out = 0;
    if (fd < 0) {
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -1 : 0;
    }
    bool is_whole = read(fd, text, UUID_TEXT_SIZE) == UUID_TEXT_SIZE;
    (void)close(fd);
    uint64_t id = 0;
    for (size_t i = 0; is_whole && i < UUID_TEXT_SIZE; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, text[i]);
        if (digit != NULL) {
            id = (id << 4 | id >> 60) ^ (uint64_t)(digit - digits);
        }
    }
    *id_out = is_whole ? id | 1 : 0;
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
    .pwrite = pwrite,
    .size_limit = system_size_limit,
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
    .hold = system_hold,
    .is_held = system_is_held,
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
    .realloc = realloc,
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

static atomic_bool takes_short_ways = true;

bool kv_io_takes_short_ways(void)
{
    return atomic_load(&takes_short_ways);
}

void kv_io_take_short_ways(bool takes_them)
{
    atomic_store(&takes_short_ways, takes_them);
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

void *kv_io_reallocate(void *memory, size_t size)
{
    void *moved = kv_io_table()->realloc(memory, size);
    if (moved == NULL) {
        (void)kv_fail(KVSTORE_NO_MEMORY, "out of memory for %zu bytes", size);
    }
    return moved;
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

kvstore_status kv_io_random(void *bytes_out, size_t size)
{
    ssize_t part = 0;
    do {
        part = kv_io_table()->getrandom(bytes_out, size);
    } while (part < 0 && errno == EINTR);
    if (part != (ssize_t)size) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot get random bytes");
    }
    return KVSTORE_OK;
}
