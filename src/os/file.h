/* SPDX-License-Identifier: MIT */

/* Files: whole reads and writes, retries after EINTR. Knows files, not what
 * is in them. */

#ifndef KV_OS_FILE_H
#define KV_OS_FILE_H

#include "kvstore.h"
#include "os/system.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* An open file or directory; the name is for messages, and borrowed. */
struct kv_io_file {
    int fd; /* -1: none. */
    const char *name;
};
#define KV_IO_FILE_NONE ((struct kv_io_file){.fd = -1, .name = ""})

/* What a file is, and whose. */
struct kv_io_stat {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    uint64_t allocated; /* Bytes that have blocks; not known by name. */
    uint64_t names;     /* Hard links. */
    bool is_regular;
    bool is_sticky;
    bool is_setgid; /* A directory: new files get its group. */
    mode_t mode;    /* Permissions only. */
    uid_t owner;
    gid_t group;
};

enum kv_io_open_mode {
    KV_IO_READ,         /* An existing file, to read. */
    KV_IO_WRITE,        /* An existing file, to read and write. */
    KV_IO_WRITE_CREATE, /* The same, created with mode 0600 if absent. */
    KV_IO_CREATE_NEW    /* A new file; it must not exist yet. */
};

/* Opens a regular file in a directory; follows no symbolic link. */
kvstore_status kv_io_open(const struct kv_io_file *directory,
                          const char *name,
                          enum kv_io_open_mode mode,
                          struct kv_io_file *file_out);

/* Opens a second descriptor of an open file, which shares its locks. */
kvstore_status kv_io_duplicate(const struct kv_io_file *file,
                               struct kv_io_file *file_out);

/* Closes a file and sets its descriptor to -1; does nothing if it is -1. */
void kv_io_close(struct kv_io_file *file);

kvstore_status kv_io_stat(const struct kv_io_file *file,
                          struct kv_io_stat *stat_out);

/* Never fails: what cannot be found out is 0. */
struct kv_io_birth kv_io_birth(const struct kv_io_file *file);

/* By name. KVSTORE_NOT_FOUND, without an error set, if there is no such
 * file. */
kvstore_status kv_io_stat_name(const struct kv_io_file *directory,
                               const char *name,
                               struct kv_io_stat *stat_out);

/* Reads size bytes, or fewer up to the end of the file. */
kvstore_status kv_io_read(const struct kv_io_file *file,
                          uint64_t offset,
                          void *buffer,
                          size_t size,
                          size_t *read_out);

/* Reads what one system call returns: some bytes, or none at the end of the
 * file. */
kvstore_status kv_io_read_some(const struct kv_io_file *file,
                               uint64_t offset,
                               void *buffer,
                               size_t size,
                               size_t *read_out);

/* Writes all bytes, or fails; after a failure some may have been written. A
 * limit on file sizes is KVSTORE_IO with EFBIG, and raises no SIGXFSZ. */
kvstore_status kv_io_write(const struct kv_io_file *file,
                           uint64_t offset,
                           const void *bytes,
                           size_t size);

/* The same for a caller that has asked for the limit, which only counts where
 * the bytes end past it. */
kvstore_status kv_io_write_within(const struct kv_io_file *file,
                                  uint64_t offset,
                                  const void *bytes,
                                  size_t size,
                                  uint64_t size_limit);
uint64_t kv_io_size_limit(void);

kvstore_status kv_io_truncate(const struct kv_io_file *file, uint64_t size);

/* The first brings data and size to the disk (fdatasync), the second all that
 * there is, and also a directory (fsync). */
kvstore_status kv_io_sync_data(const struct kv_io_file *file);
kvstore_status kv_io_sync(const struct kv_io_file *file);

/* The size of a file; cheaper than kv_io_stat(). */
kvstore_status kv_io_end(const struct kv_io_file *file, uint64_t *end_out);

/* The next place, at an offset or past it, where there may be data: all bytes
 * in between are a hole, and read as zeros. It is the offset itself if the
 * system does not say, and the end of the file if only a hole follows. */
uint64_t kv_io_next_data(const struct kv_io_file *file, uint64_t offset);

/* The boot, and the mount that a file is reached through: what a mapping holds
 * is known to be in this kernel's memory only while both are the same. 0 if the
 * system does not say. */
kvstore_status kv_io_boot_id(uint64_t *id_out);
uint64_t kv_io_mount_id(const struct kv_io_file *file);

/* True if the last call failed because this process cannot make such a call: it
 * has done nothing. */
bool kv_io_was_unavailable(void);

/* True if the file is on a file system that several machines may share: there
 * flock and a shared mapping may mean nothing. */
kvstore_status kv_io_is_remote(const struct kv_io_file *file,
                               bool *is_remote_out);

#endif
