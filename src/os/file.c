/* SPDX-License-Identifier: MIT */

/* System calls made whole: retried, checked, and described where they fail. */

#include "os/file.h"

#include "os/descriptors.h"
#include "os/error.h"
#include "os/system.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

/* S_ISVTX, which POSIX keeps to its XSI option. */
#define STICKY_BIT 01000

#define DIRECTORY_NAME "the data directory"

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

/* --- Opening --- */

static int retry_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd = -1;
    do {
        fd = kv_io_table()->openat(
            dir_fd, name, flags | O_CLOEXEC | O_NOCTTY, mode);
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
    int high_fd = kv_io_table()->dup_high(fd);
    int dup_errno = errno;
    (void)kv_io_table()->close(fd);
    errno = dup_errno;
    return high_fd;
}

/* Opens what is ours from now on, also in the eyes of a fork. */
static int open_noted(int dir_fd, const char *name, int flags, mode_t mode)
{
    kv_io_descriptors_hold();
    int fd = above_standard(retry_openat(dir_fd, name, flags, mode));
    kv_io_descriptors_add(fd);
    kv_io_descriptors_let_go();
    return fd;
}

static void close_noted(int fd)
{
    kv_io_descriptors_hold();
    kv_io_descriptors_remove(fd);
    (void)kv_io_table()->close(fd);
    kv_io_descriptors_let_go();
}

kvstore_status kv_io_open_directory(const char *path,
                                    struct kv_io_file *directory_out)
{
    assert(path != NULL);
    *directory_out = KV_IO_FILE_NONE;

    int fd = open_noted(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot open %s", DIRECTORY_NAME);
    }
    *directory_out = (struct kv_io_file){.fd = fd, .name = DIRECTORY_NAME};
    return KVSTORE_OK;
}

kvstore_status kv_io_duplicate(const struct kv_io_file *file,
                               struct kv_io_file *file_out)
{
    *file_out = KV_IO_FILE_NONE;
    kv_io_descriptors_hold();
    int fd = kv_io_table()->dup_high(file->fd);
    int dup_errno = errno;
    kv_io_descriptors_add(fd);
    kv_io_descriptors_let_go();
    if (fd < 0) {
        return kv_fail_errno(
            KVSTORE_IO, dup_errno, "cannot open %s once more", file->name);
    }
    *file_out = (struct kv_io_file){.fd = fd, .name = file->name};
    return KVSTORE_OK;
}

/* Makes one directory where there is none, and syncs the one above, also where
 * another process made it: that one may have been killed before its sync. A
 * directory above that may not be read cannot be synced. */
static kvstore_status make_directory(const char *path, const char *above)
{
    if (kv_io_table()->mkdir(path, 0700) != 0 && errno != EEXIST) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot create '%s'", path);
    }
    int fd = open_noted(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return errno == EACCES
                   ? KVSTORE_OK
                   : kv_fail_errno(
                         KVSTORE_IO, errno, "cannot open '%s'", above);
    }
    kvstore_status status = KVSTORE_OK;
    if (kv_io_table()->fsync(fd) != 0) {
        status = kv_fail_errno(KVSTORE_IO, errno, "cannot sync '%s'", above);
    }
    close_noted(fd);
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
    int fd = open_noted(directory->fd, name, flags, 0600);
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
        close_noted(file->fd);
    }
    file->fd = -1;
}

/* --- Who and what a file is --- */

static struct kv_io_stat own_stat(const struct stat *stat)
{
    return (struct kv_io_stat){.device = (uint64_t)stat->st_dev,
                               .inode = (uint64_t)stat->st_ino,
                               .size = (uint64_t)stat->st_size,
                               .allocated = (uint64_t)stat->st_blocks * 512,
                               .names = (uint64_t)stat->st_nlink,
                               .is_regular = S_ISREG(stat->st_mode),
                               .is_sticky = (stat->st_mode & STICKY_BIT) != 0,
                               .is_setgid = (stat->st_mode & S_ISGID) != 0,
                               .mode = stat->st_mode & 0777,
                               .owner = stat->st_uid,
                               .group = stat->st_gid,
                               .changed_ns =
                                   (int64_t)stat->st_mtim.tv_sec * 1000000000 +
                                   stat->st_mtim.tv_nsec};
}

kvstore_status kv_io_stat(const struct kv_io_file *file,
                          struct kv_io_stat *stat_out)
{
    *stat_out = (struct kv_io_stat){.device = 0};
    struct stat stat;
    if (kv_io_table()->fstat(file->fd, &stat) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    *stat_out = own_stat(&stat);
    return KVSTORE_OK;
}

struct kv_io_birth kv_io_birth(const struct kv_io_file *file)
{
    struct kv_io_birth birth = {.time_ns = 0};
    kv_io_table()->birth(file->fd, &birth);
    return birth;
}

kvstore_status kv_io_stat_name(const struct kv_io_file *directory,
                               const char *name,
                               struct kv_io_stat *stat_out)
{
    *stat_out = (struct kv_io_stat){.device = 0};
    struct stat stat;
    if (kv_io_table()->fstatat(directory->fd, name, &stat) != 0) {
        if (errno == ENOENT) {
            return KVSTORE_NOT_FOUND;
        }
        return kv_fail_errno(KVSTORE_IO, errno, "cannot look at %s", name);
    }
    *stat_out = own_stat(&stat);
    return KVSTORE_OK;
}

/* --- Reading and writing --- */

kvstore_status kv_io_read_some(const struct kv_io_file *file,
                               uint64_t offset,
                               void *buffer,
                               size_t size,
                               size_t *read_out)
{
    ssize_t part = 0;
    do {
        part = kv_io_table()->pread(file->fd, buffer, size, (off_t)offset);
    } while (part < 0 && errno == EINTR);
    *read_out = part < 0 ? 0 : (size_t)part;
    return part < 0
               ? kv_fail_errno(KVSTORE_IO, errno, "cannot read %s", file->name)
               : KVSTORE_OK;
}

kvstore_status kv_io_read(const struct kv_io_file *file,
                          uint64_t offset,
                          void *buffer,
                          size_t size,
                          size_t *read_out)
{
    size_t part = 1;
    kvstore_status status = KVSTORE_OK;
    *read_out = 0;
    while (status == KVSTORE_OK && *read_out < size && part > 0) {
        status = kv_io_read_some(file,
                                 offset + *read_out,
                                 (char *)buffer + *read_out,
                                 size - *read_out,
                                 &part);
        *read_out += part;
    }
    if (status != KVSTORE_OK) {
        *read_out = 0;
    }
    return status;
}

kvstore_status kv_io_write(const struct kv_io_file *file,
                           uint64_t offset,
                           const void *bytes,
                           size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = kv_io_table()->pwrite(file->fd,
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
        result = kv_io_table()->ftruncate(file->fd, (off_t)size);
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
    if (kv_io_table()->fdatasync(file->fd) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot sync %s", file->name);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_sync(const struct kv_io_file *file)
{
    if (kv_io_table()->fsync(file->fd) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot sync %s", file->name);
    }
    return KVSTORE_OK;
}

/* --- Names --- */

kvstore_status kv_io_rename(const struct kv_io_file *directory,
                            const char *from,
                            const char *to)
{
    if (kv_io_table()->renameat(directory->fd, from, to) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot rename %s to %s", from, to);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_unlink(const struct kv_io_file *directory,
                            const char *name)
{
    if (kv_io_table()->unlinkat(directory->fd, name) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot remove %s", name);
    }
    return KVSTORE_OK;
}

/* --- Locks, clocks, chance --- */

#define LOCK_SPINS 10
#define LOCK_FIRST_PAUSE_NS 20000
#define LOCK_LONGEST_PAUSE_NS 1000000

kvstore_status kv_io_lock(const struct kv_io_file *file,
                          int32_t timeout_ms,
                          _Atomic uint64_t *waiting)
{
    assert(timeout_ms >= 0);
    int64_t deadline_ns = -1;
    int64_t pause_ns = LOCK_FIRST_PAUSE_NS;
    for (uint64_t attempt = 0;; attempt++) {
        if (kv_io_table()->flock(file->fd, LOCK_EX | LOCK_NB) == 0) {
            return KVSTORE_OK;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EWOULDBLOCK) {
            return kv_fail_errno(
                KVSTORE_IO, errno, "cannot lock %s", file->name);
        }
        int64_t now_ns = kv_io_table()->clock_ns();
        if (waiting != NULL) {
            atomic_store_explicit(waiting,
                                  (uint64_t)kv_io_table()->clock_coarse_ns(),
                                  memory_order_relaxed);
        }
        if (deadline_ns < 0) {
            deadline_ns = now_ns + (int64_t)timeout_ms * 1000000;
        }
        if (timeout_ms != INT32_MAX && now_ns >= deadline_ns) {
            return kv_fail(KVSTORE_BUSY,
                           "busy: another process holds the lock on %s",
                           file->name);
        }
        if (attempt >= LOCK_SPINS) {
            kv_io_table()->sleep_ns(pause_ns);
            pause_ns *= 2;
        }
        if (pause_ns > LOCK_LONGEST_PAUSE_NS) {
            pause_ns = LOCK_LONGEST_PAUSE_NS;
        }
    }
}

void kv_io_unlock(const struct kv_io_file *file)
{
    (void)kv_io_table()->flock(file->fd, LOCK_UN);
}

kvstore_status kv_io_try_lock(const struct kv_io_file *file,
                              bool is_shared,
                              bool *is_locked_out)
{
    int operation = (is_shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
    int result = 0;
    do {
        result = kv_io_table()->flock(file->fd, operation);
    } while (result != 0 && errno == EINTR);
    *is_locked_out = result == 0;
    if (result != 0 && errno != EWOULDBLOCK) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot lock %s", file->name);
    }
    return KVSTORE_OK;
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
    long type = kv_io_table()->file_system_type(file->fd);
    if (type == -1) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    for (size_t i = 0; i < sizeof remote_types / sizeof *remote_types; i++) {
        *is_remote_out |= (uint32_t)type == remote_types[i];
    }
    return KVSTORE_OK;
}

bool kv_io_takes_mapped_writes(const struct kv_io_file *file)
{
    long type = kv_io_table()->file_system_type(file->fd);
    return type == 0xef53 || type == 0x01021994; /* ext4, tmpfs */
}

kvstore_status kv_io_end(const struct kv_io_file *file, uint64_t *end_out)
{
    off_t end = kv_io_table()->file_end(file->fd);
    *end_out = end < 0 ? 0 : (uint64_t)end;
    if (end < 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    return KVSTORE_OK;
}

uint64_t kv_io_next_data(const struct kv_io_file *file, uint64_t offset)
{
    /* Asked for first: what is appended meanwhile is no hole. */
    off_t end = kv_io_table()->file_end(file->fd);
    off_t data = kv_io_table()->next_data(file->fd, (off_t)offset);
    if (data < 0 && errno == ENXIO) {
        data = end;
    }
    return data > (off_t)offset ? (uint64_t)data : offset;
}

/* For file systems that cannot be asked for room without writing. */
static kvstore_status write_zeros(const struct kv_io_file *file, uint64_t size)
{
    static const char zeros[65536];
    kvstore_status status = KVSTORE_OK;
    for (uint64_t done = 0; done < size && status == KVSTORE_OK;) {
        uint64_t left = size - done;
        size_t part = left < sizeof zeros ? (size_t)left : sizeof zeros;
        status = kv_io_write(file, done, zeros, part);
        done += part;
    }
    return status;
}

kvstore_status kv_io_allocate_blocks(const struct kv_io_file *file,
                                     uint64_t size)
{
    int result = 0;
    do {
        result = kv_io_table()->allocate_blocks(file->fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EOPNOTSUPP) {
        return write_zeros(file, size);
    }
    if (result != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot make room for %s", file->name);
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_map(const struct kv_io_file *file,
                         uint64_t offset,
                         size_t size,
                         bool is_writable,
                         void **memory_out)
{
    *memory_out = NULL;
    void *memory =
        kv_io_table()->mmap(size, is_writable, file->fd, (off_t)offset);
    if (memory == MAP_FAILED) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot map %s", file->name);
    }
    *memory_out = memory;
    return KVSTORE_OK;
}

void kv_io_unmap(void *memory, size_t size)
{
    if (memory != NULL) {
        (void)kv_io_table()->munmap(memory, size);
    }
}

kvstore_status kv_io_populate(const struct kv_io_file *file,
                              void *memory,
                              size_t size)
{
    int result = 0;
    do {
        result = kv_io_table()->populate(memory, size);
    } while (result != 0 && (errno == EINTR || errno == EAGAIN));
    if (result == 0 || errno == EINVAL) {
        return KVSTORE_OK; /* EINVAL: before Linux 5.14. */
    }
    /* EFAULT stands for what would have been a SIGBUS. */
    int reason = errno == EFAULT ? ENOSPC : errno;
    return kv_fail_errno(
        KVSTORE_IO, reason, "cannot make room for %s", file->name);
}

kvstore_status kv_io_boot_id(uint64_t id_out[2])
{
    if (kv_io_table()->boot_id(id_out) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot read the boot id");
    }
    return KVSTORE_OK;
}

kvstore_status kv_io_mount_id(const struct kv_io_file *file, uint64_t *id_out)
{
    if (kv_io_table()->mount_id(file->fd, id_out) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    return KVSTORE_OK;
}

int64_t kv_io_clock_coarse_ns(void)
{
    return kv_io_table()->clock_coarse_ns();
}

static bool has_ends(const char *name, const char *prefix, const char *suffix)
{
    size_t size = strlen(name);
    size_t prefix_size = strlen(prefix);
    size_t suffix_size = strlen(suffix);
    return size >= prefix_size + suffix_size &&
           memcmp(name, prefix, prefix_size) == 0 &&
           memcmp(name + size - suffix_size, suffix, suffix_size) == 0;
}

kvstore_status kv_io_list(const struct kv_io_file *directory,
                          const char *prefix,
                          const char *suffix,
                          kv_io_visit_name visit,
                          void *context)
{
    kv_io_descriptors_hold();
    DIR *stream = kv_io_table()->opendir(directory->fd);
    int open_errno = errno;
    kv_io_descriptors_add(stream == NULL ? -1 : dirfd(stream));
    kv_io_descriptors_let_go();
    if (stream == NULL) {
        return kv_fail_errno(
            KVSTORE_IO, open_errno, "cannot list %s", directory->name);
    }
    const struct dirent *entry = NULL;
    while ((entry = kv_io_table()->readdir(stream)) != NULL) {
        if (has_ends(entry->d_name, prefix, suffix)) {
            visit(context, entry->d_name);
        }
    }
    kv_io_descriptors_hold();
    kv_io_descriptors_remove(dirfd(stream));
    (void)kv_io_table()->closedir(stream);
    kv_io_descriptors_let_go();
    return KVSTORE_OK;
}

uint64_t kv_io_process_id(void)
{
    return (uint64_t)getpid();
}

uid_t kv_io_user_id(void)
{
    return geteuid();
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
