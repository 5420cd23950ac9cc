/* SPDX-License-Identifier: MIT */

/* Every system call and every allocation of the library. The only file that
 * may use what lies beyond POSIX.1-2008. */

#define _GNU_SOURCE

#include "io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "error.h"

#define DIRECTORY_NAME "the data directory"

/* --- The system's own table --- */

static int system_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    return openat(dir_fd, name, flags, mode);
}

static int system_dup_high(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* At its limit on file sizes a process gets SIGXFSZ, which would kill a host
 * program. The signal is aimed at the thread that writes, so it can be held
 * back and taken here. */
static ssize_t
pwrite_without_signal(int fd, const void *bytes, size_t size, off_t offset)
{
    sigset_t size_signal;
    sigset_t old_mask;
    sigset_t pending;
    sigemptyset(&size_signal);
    sigaddset(&size_signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &size_signal, &old_mask);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGXFSZ) == 1;

    ssize_t written = pwrite(fd, bytes, size, offset);

    int write_errno = errno;
    if (written < 0 && write_errno == EFBIG && !was_pending) {
        static const struct timespec no_wait = {0};
        (void)sigtimedwait(&size_signal, NULL, &no_wait);
    }
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    errno = write_errno;
    return written;
}

static ssize_t
system_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY &&
        (uint64_t)offset + size > limit.rlim_cur) {
        return pwrite_without_signal(fd, bytes, size, offset);
    }
    return pwrite(fd, bytes, size, offset);
}

static int system_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    return fstatat(dir_fd, name, stat_out, AT_SYMLINK_NOFOLLOW);
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

static void system_sleep_ns(int64_t ns)
{
    struct timespec duration = {.tv_sec = (time_t)(ns / 1000000000),
                                .tv_nsec = (long)(ns % 1000000000)};
    (void)nanosleep(&duration, NULL);
}

static ssize_t system_getrandom(void *buffer, size_t size)
{
    return getrandom(buffer, size, 0);
}

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
    .mkdir = mkdir,
    .renameat = system_renameat,
    .unlinkat = system_unlinkat,
    .flock = flock,
    .file_system_type = system_file_system_type,
    .clock_ns = system_clock_ns,
    .sleep_ns = system_sleep_ns,
    .getrandom = system_getrandom,
    .malloc = malloc,
    .free = free,
};

#ifdef KV_IO_SWAPPABLE
static const struct kv_io_table *io = &system_table;

const struct kv_io_table *kv_io_system_table(void)
{
    return &system_table;
}

void kv_io_swap_table(const struct kv_io_table *table)
{
    io = table;
}
#else
static const struct kv_io_table *const io = &system_table;
#endif

/* --- Memory --- */

void *kv_io_allocate(size_t size)
{
    void *memory = io->malloc(size);
    if (memory == NULL) {
        (void)kv_fail(
            KVSTORE_NO_MEMORY, "out of memory for %zu bytes", size);
    }
    return memory;
}

void kv_io_free(void *memory)
{
    io->free(memory);
}

/* --- Opening --- */

static int retry_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd = -1;
    do {
        fd = io->openat(dir_fd, name, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Keeps 0 to 2 out of our hands: a host program that closed its standard
 * error must not find our log there. */
static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) {
        return fd;
    }
    int high_fd = io->dup_high(fd);
    int dup_errno = errno;
    (void)io->close(fd);
    errno = dup_errno;
    return high_fd;
}

kvstore_status kv_io_open_directory(const char *path,
                                    struct kv_io_file *directory_out)
{
    assert(path != NULL);
    *directory_out = KV_IO_FILE_NONE;

    int fd = above_standard(
        retry_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0));
    if (fd < 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot open %s", DIRECTORY_NAME);
    }
    *directory_out = (struct kv_io_file){.fd = fd, .name = DIRECTORY_NAME};
    return KVSTORE_OK;
}

/* Makes one directory where there is none, and syncs the one above, also where
 * another process made it: that one may have been killed before its sync. A
 * directory above that may not be read cannot be synced. */
static kvstore_status make_directory(const char *path, const char *above)
{
    if (io->mkdir(path, 0700) != 0 && errno != EEXIST) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot create '%s'", path);
    }
    int fd = retry_openat(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return errno == EACCES
                   ? KVSTORE_OK
                   : kv_fail_errno(
                         KVSTORE_IO, errno, "cannot open '%s'", above);
    }
    kvstore_status status = KVSTORE_OK;
    if (io->fsync(fd) != 0) {
        status = kv_fail_errno(KVSTORE_IO, errno, "cannot sync '%s'", above);
    }
    (void)io->close(fd);
    return status;
}

kvstore_status kv_io_make_directories(const char *path)
{
    size_t size = strlen(path) + 1;
    char *part = kv_io_allocate(2 * size);
    if (part == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    char *above = part + size;
    memcpy(above, path[0] == '/' ? "/" : ".", 2);

    kvstore_status status = KVSTORE_OK;
    for (size_t i = 1; i < size && status == KVSTORE_OK; i++) {
        bool ends_here = path[i] == '/' || path[i] == '\0';
        if (!ends_here || path[i - 1] == '/') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        status = make_directory(part, above);
        memcpy(above, part, i + 1);
    }
    kv_io_free(part);
    return status;
}

static int open_flags(enum kv_io_open_mode mode)
{
    switch (mode) {
    case KV_IO_READ:
        return O_RDONLY;
    case KV_IO_WRITE:
        return O_RDWR;
    case KV_IO_WRITE_CREATE:
        return O_RDWR | O_CREAT;
    case KV_IO_CREATE_NEW:
        return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

kvstore_status kv_io_open(const struct kv_io_file *directory,
                          const char *name,
                          enum kv_io_open_mode mode,
                          struct kv_io_file *file_out)
{
    assert(directory->fd >= 0);
    *file_out = KV_IO_FILE_NONE;

    /* O_NONBLOCK: opening a FIFO that stands in the file's place must not
     * wait. It means nothing for a regular file. */
    int flags = open_flags(mode) | O_NOFOLLOW | O_NONBLOCK;
    int fd = above_standard(retry_openat(directory->fd, name, flags, 0600));
    if (fd < 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot open %s", name);
    }
    struct kv_io_file file = {.fd = fd, .name = name};
    struct kv_io_stat stat = {0};
    kvstore_status status = kv_io_stat(&file, &stat);
    if (status == KVSTORE_OK && !stat.is_regular) {
        status = kv_fail(KVSTORE_IO, "%s is not a regular file", name);
    }
    if (status != KVSTORE_OK) {
        kv_io_close(&file);
        return status;
    }
    *file_out = file;
    return KVSTORE_OK;
}

void kv_io_close(struct kv_io_file *file)
{
    if (file->fd >= 0) {
        (void)io->close(file->fd);
    }
    file->fd = -1;
}

/* --- Who and what a file is --- */

static struct kv_io_stat own_stat(const struct stat *stat)
{
    return (struct kv_io_stat){.device = (uint64_t)stat->st_dev,
                               .inode = (uint64_t)stat->st_ino,
                               .size = (uint64_t)stat->st_size,
                               .is_regular = S_ISREG(stat->st_mode),
                               .is_sticky = (stat->st_mode & S_ISVTX) != 0,
                               .mode = stat->st_mode & 0777,
                               .owner = stat->st_uid,
                               .group = stat->st_gid};
}

kvstore_status kv_io_stat(const struct kv_io_file *file,
                          struct kv_io_stat *stat_out)
{
    struct stat stat;
    if (io->fstat(file->fd, &stat) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    *stat_out = own_stat(&stat);
    return KVSTORE_OK;
}

kvstore_status kv_io_stat_name(const struct kv_io_file *directory,
                               const char *name,
                               struct kv_io_stat *stat_out)
{
    struct stat stat;
    if (io->fstatat(directory->fd, name, &stat) != 0) {
        if (errno == ENOENT) {
            return KVSTORE_NOT_FOUND;
        }
        return kv_fail_errno(KVSTORE_IO, errno, "cannot look at %s", name);
    }
    *stat_out = own_stat(&stat);
    return KVSTORE_OK;
}

/* --- Reading and writing --- */

kvstore_status kv_io_read(const struct kv_io_file *file,
                          uint64_t offset,
                          void *buffer,
                          size_t size,
                          size_t *read_out)
{
    size_t done = 0;
    *read_out = 0;
    while (done < size) {
        ssize_t part = io->pread(file->fd,
                                 (char *)buffer + done,
                                 size - done,
                                 (off_t)(offset + done));
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part < 0) {
            return kv_fail_errno(
                KVSTORE_IO, errno, "cannot read %s", file->name);
        }
        if (part == 0) {
            break;
        }
        done += (size_t)part;
    }
    *read_out = done;
    return KVSTORE_OK;
}

kvstore_status kv_io_write(const struct kv_io_file *file,
                           uint64_t offset,
                           const void *bytes,
                           size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = io->pwrite(file->fd,
                                  (const char *)bytes + done,
                                  size - done,
                                  (off_t)(offset + done));
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            return kv_fail_errno(KVSTORE_IO,
                                 part < 0 ? errno : ENOSPC,
                                 "cannot write %s",
                                 file->name);
        }
        done += (size_t)part;
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_truncate(const struct kv_io_file *file, uint64_t size)
{
    int result = 0;
    do {
        result = io->ftruncate(file->fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot cut %s", file->name);
    }
    return KVSTORE_OK;
}

/* A failed sync is not tried again, whatever its errno: the kernel tells of
 * lost pages once, and the next call would succeed without them. */
kvstore_status kv_io_sync_data(const struct kv_io_file *file)
{
    if (io->fdatasync(file->fd) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot sync %s", file->name);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_sync(const struct kv_io_file *file)
{
    if (io->fsync(file->fd) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot sync %s", file->name);
    }
    return KVSTORE_OK;
}

/* --- Names, owners, modes --- */

kvstore_status kv_io_adopt(const struct kv_io_file *file,
                           const struct kv_io_stat *model)
{
    struct kv_io_stat stat = {0};
    kvstore_status status = kv_io_stat(file, &stat);
    if (status != KVSTORE_OK) {
        return status;
    }
    mode_t mode = model->mode & 0666;
    bool is_owner_same = stat.owner == model->owner;
    bool is_group_same = stat.group == model->group;
    if (!is_owner_same || !is_group_same) {
        is_group_same =
            io->fchown(file->fd, model->owner, model->group) == 0 ||
            is_group_same ||
            io->fchown(file->fd, (uid_t)-1, model->group) == 0;
    }
    if (!is_group_same) {
        mode &= (mode_t)~070;
    }
    if (io->fchmod(file->fd, mode) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot set the mode of %s", file->name);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_rename(const struct kv_io_file *directory,
                            const char *from,
                            const char *to)
{
    if (io->renameat(directory->fd, from, to) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot rename %s to %s", from, to);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_unlink(const struct kv_io_file *directory,
                            const char *name)
{
    if (io->unlinkat(directory->fd, name) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot remove %s", name);
    }
    return KVSTORE_OK;
}

/* --- Locks, clocks, chance --- */

#define LOCK_SPINS 10
#define LOCK_FIRST_PAUSE_NS 20000
#define LOCK_LONGEST_PAUSE_NS 1000000

kvstore_status kv_io_lock(const struct kv_io_file *file, int32_t timeout_ms)
{
    assert(timeout_ms >= 0);
    int64_t deadline_ns = -1;
    int64_t pause_ns = LOCK_FIRST_PAUSE_NS;
    for (uint64_t attempt = 0;; attempt++) {
        if (io->flock(file->fd, LOCK_EX | LOCK_NB) == 0) {
            return KVSTORE_OK;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EWOULDBLOCK) {
            return kv_fail_errno(
                KVSTORE_IO, errno, "cannot lock %s", file->name);
        }
        int64_t now_ns = io->clock_ns();
        if (deadline_ns < 0) {
            deadline_ns = now_ns + (int64_t)timeout_ms * 1000000;
        }
        if (timeout_ms != INT32_MAX && now_ns >= deadline_ns) {
            return kv_fail(KVSTORE_BUSY,
                           "busy: another process holds the lock on %s",
                           file->name);
        }
        if (attempt >= LOCK_SPINS) {
            io->sleep_ns(pause_ns);
            pause_ns *= 2;
        }
        if (pause_ns > LOCK_LONGEST_PAUSE_NS) {
            pause_ns = LOCK_LONGEST_PAUSE_NS;
        }
    }
}

void kv_io_unlock(const struct kv_io_file *file)
{
    (void)io->flock(file->fd, LOCK_UN);
}

/* From linux/magic.h and the file systems' own sources. */
static const uint32_t remote_types[] = {
    0x6969,     /* NFS */
    0x517b,     /* SMB */
    0xfe534d42, /* SMB2 */
    0xff534d42, /* CIFS */
    0x5346414f, /* AFS */
    0x6b414653, /* kAFS */
    0x73757245, /* Coda */
    0x00c36400, /* Ceph */
    0x01021997, /* 9P */
    0x0bd00bd0, /* Lustre */
    0x47504653, /* GPFS */
};

kvstore_status kv_io_is_remote(const struct kv_io_file *file,
                               bool *is_remote_out)
{
    *is_remote_out = false;
    long type = io->file_system_type(file->fd);
    if (type == -1) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    for (size_t i = 0; i < sizeof remote_types / sizeof *remote_types; i++) {
        *is_remote_out |= (uint32_t)type == remote_types[i];
    }
    return KVSTORE_OK;
}

int64_t kv_io_clock_ns(void)
{
    return io->clock_ns();
}

void kv_io_sleep_ns(int64_t ns)
{
    io->sleep_ns(ns);
}

kvstore_status kv_io_random(uint64_t *random_out)
{
    ssize_t size = 0;
    do {
        size = io->getrandom(random_out, sizeof *random_out);
    } while (size < 0 && errno == EINTR);
    if (size != (ssize_t)sizeof *random_out) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot get a random seed");
    }
    return KVSTORE_OK;
}
