/* SPDX-License-Identifier: MIT */

/* Mappings, and files with room on the disk for all that is written to them. */

#include "os/map.h"

#include "os/error.h"
#include "os/system.h"

#include <errno.h>
#include <sys/mman.h>

bool kv_io_takes_mapped_writes(const struct kv_io_file *file)
{
    long type = kv_io_table()->file_system_type(file->fd);
    return type == 0xef53 || type == 0x01021994; /* ext4, tmpfs */
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
    if (result != 0 && kv_io_is_unavailable(errno)) {
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
    if (result == 0 || kv_io_is_unavailable(errno)) {
        return KVSTORE_OK; /* As before Linux 5.14. */
    }
    /* EFAULT: it would have been a SIGBUS. */
    int reason = errno == EFAULT ? ENOSPC : errno;
    return kv_fail_errno(
        KVSTORE_IO, reason, "cannot make room for %s", file->name);
}
