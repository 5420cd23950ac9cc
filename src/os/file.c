/* SPDX-License-Identifier: MIT */

/* System calls that are retried until done, checked, and described where they
 * fail. */

#include "os/file.h"

#include "os/descriptors.h"
#include "os/error.h"
#include "os/size_signal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

/* S_ISVTX, which POSIX keeps to its XSI option. */
#define STICKY_BIT 01000

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

    /* O_NONBLOCK: opening must not wait if there is a FIFO in the file's place.
     * It means nothing for a regular file. */
    int flags = open_flags(mode) | O_NOFOLLOW | O_NONBLOCK;
    int fd = kv_io_descriptors_open(directory->fd, name, flags, 0600);
    if (fd < 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot open %s", name);
    }
    struct kv_io_file file = {.fd = fd, .name = name};
    struct kv_io_stat stat = {.is_regular = true};
    kvstore_status status = KVSTORE_OK;
    if (mode != KV_IO_CREATE_NEW) {
        status = kv_io_stat(&file, &stat);
    }
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
        kv_io_descriptors_close(file->fd);
    }
    file->fd = -1;
}

/* --- What a file is --- */

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
                               .group = stat->st_gid};
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
    return part < 0 ? kv_fail_errno(KVSTORE_IO,
                                    errno,
                                    "cannot read %s at offset %" PRIu64,
                                    file->name,
                                    offset)
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

/* pwrite() without SIGXFSZ: past the limit on file sizes it is EFBIG. */
static ssize_t pwrite_at_limit(int fd,
                               const void *bytes,
                               size_t size,
                               off_t offset)
{
    struct kv_size_signal held;
    kv_size_signal_hold(&held);
    ssize_t written = kv_io_table()->pwrite(fd, bytes, size, offset);
    kv_size_signal_release(&held, written < 0);
    return written;
}

uint64_t kv_io_size_limit(void)
{
    return kv_io_table()->size_limit();
}

kvstore_status kv_io_write(const struct kv_io_file *file,
                           uint64_t offset,
                           const void *bytes,
                           size_t size)
{
    return kv_io_write_within(file, offset, bytes, size, kv_io_size_limit());
}

kvstore_status kv_io_write_within(const struct kv_io_file *file,
                                  uint64_t offset,
                                  const void *bytes,
                                  size_t size,
                                  uint64_t size_limit)
{
    size_t done = 0;
    ssize_t (*write)(int, const void *, size_t, off_t) =
        offset + size <= size_limit ? kv_io_table()->pwrite : pwrite_at_limit;
    while (done < size) {
        ssize_t part = write(file->fd,
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

/* A failed sync is not tried again, whatever its errno: the kernel reports lost
 * pages once, and the next call would succeed without them. */
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

bool kv_io_was_unavailable(void)
{
    return kv_io_is_unavailable(kvstore_last_error()->system_errno);
}

/* From linux/magic.h, linux/gfs2_ondisk.h, the kernel's fs/vboxsf/super.c and
 * fs/orangefs/protocol.h, and the file systems' own sources. */
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
    0x01161970, /* GFS2 */
    0x7461636f, /* OCFS2 */
    0x19830326, /* BeeGFS */
    0x20030528, /* OrangeFS */
    0x786f4256, /* vboxsf, the shared folders of VirtualBox */
    0xbacbacbc, /* HGFS, those of VMware */
};

kvstore_status kv_io_is_remote(const struct kv_io_file *file,
                               bool *is_remote_out)
{
    *is_remote_out = false;
    long type = kv_io_table()->file_system_type(file->fd);
    if (type == -1 && !kv_io_is_unavailable(errno)) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot look at %s", file->name);
    }
    for (size_t i = 0; i < sizeof remote_types / sizeof *remote_types; i++) {
        *is_remote_out |= (uint32_t)type == remote_types[i];
    }
    return KVSTORE_OK;
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
    /* This comes first: what is appended meanwhile is not a hole. */
    off_t end = kv_io_table()->file_end(file->fd);
    off_t data = kv_io_table()->next_data(file->fd, (off_t)offset);
    if (data < 0 && errno == ENXIO) {
        data = end;
    }
    return data > (off_t)offset ? (uint64_t)data : offset;
}

kvstore_status kv_io_boot_id(uint64_t *id_out)
{
    if (kv_io_table()->boot_id(id_out) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot read the boot id");
    }
    return KVSTORE_OK;
}

uint64_t kv_io_mount_id(const struct kv_io_file *file)
{
    return kv_io_table()->mount_id(file->fd);
}

uid_t kv_io_user_id(void)
{
    return geteuid();
}
