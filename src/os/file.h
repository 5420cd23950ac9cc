/* SPDX-License-Identifier: MIT */

/* Every system call and every allocation of the library, behind one table that
 * tests can swap. Whole reads and writes, retries after EINTR, locks with a
 * bounded wait. Knows files, not what is in them. */

#ifndef KV_OS_FILE_H
#define KV_OS_FILE_H

#include "kvstore.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What tells a file from an earlier one with the same number, each as far as the
 * system knows it; 0: it does not. */
struct kv_io_birth {
    uint64_t time_ns;    /* When it was made (statx). */
    uint64_t generation; /* How often the file system has given its number away
                            (FS_IOC_GETVERSION), and 1. */
};

/* The seam. Each member has the meaning of the call it is named for, errno
 * included. */
struct kv_io_table {
    int (*openat)(int dir_fd, const char *name, int flags, mode_t mode);
    int (*close)(int fd);
    int (*dup_high)(int fd); /* fcntl(fd, F_DUPFD_CLOEXEC, 3) */
    ssize_t (*pread)(int fd, void *buffer, size_t size, off_t offset);
    /* Without SIGXFSZ at a limit on file sizes, just EFBIG. */
    ssize_t (*pwrite)(int fd, const void *bytes, size_t size, off_t offset);
    int (*ftruncate)(int fd, off_t size);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*fstat)(int fd, struct stat *stat_out);
    int (*fstatat)(int dir_fd, const char *name, struct stat *stat_out);
    int (*fchown)(int fd, uid_t owner, gid_t group);
    int (*fchmod)(int fd, mode_t mode);
    /* acl(5), as the kernel hands it out; size 0: none. */
    ssize_t (*get_access_list)(int fd, void *buffer, size_t size);
    int (*set_access_list)(int fd, const void *bytes, size_t size);
    int (*mkdir)(const char *path, mode_t mode);
    int (*renameat)(int dir_fd, const char *from, const char *to);
    int (*unlinkat)(int dir_fd, const char *name);
    int (*flock)(int fd, int operation);
    int (*allocate_blocks)(int fd, off_t size); /* fallocate(fd, 0, 0, size) */
    void *(*mmap)(size_t size, bool is_writable, int fd, off_t offset);
    int (*munmap)(void *memory, size_t size);
    int (*populate)(void *memory, size_t size); /* MADV_POPULATE_WRITE */
    off_t (*file_end)(int fd);                  /* lseek(fd, 0, SEEK_END) */
    off_t (*next_data)(int fd, off_t offset);   /* lseek(, , SEEK_DATA) */
    int (*mount_id)(int fd, uint64_t *id_out);  /* statx; 0: not known */
    void (*birth)(int fd, struct kv_io_birth *birth_out);
    int (*boot_id)(uint64_t id_out[2]);
    int64_t (*clock_coarse_ns)(void); /* CLOCK_MONOTONIC_COARSE */
    DIR *(*opendir)(int dir_fd);      /* A descriptor of its own */
    struct dirent *(*readdir)(DIR *directory);
    int (*closedir)(DIR *directory);
    long (*file_system_type)(int fd); /* fstatfs: f_type, or -1 */
    int64_t (*clock_ns)(void);        /* CLOCK_MONOTONIC */
    int64_t (*clock_real_ms)(void);   /* CLOCK_REALTIME */
    void (*sleep_ns)(int64_t ns);
    ssize_t (*getrandom)(void *buffer, size_t size);
    int (*start_thread)(pthread_t *thread, void *(*run)(void *), void *context);
    void *(*malloc)(size_t size);
    void (*free)(void *memory);
#ifdef KV_IO_SWAPPABLE
    void (*step)(const char *name); /* Does nothing. */
#endif
};

/* Test builds only: the system's own table, the one to use from now on, and
 * calls at the steps between which no system call stands, named for what has
 * just been stored in memory that other processes share. */
#ifdef KV_IO_SWAPPABLE
const struct kv_io_table *kv_io_system_table(void);
void kv_io_swap_table(const struct kv_io_table *table);
void kv_io_step(const char *name);
#else
#define kv_io_step(name) ((void)0)
#endif

/* An open file or directory; the name is for messages, and borrowed. */
struct kv_io_file {
    int fd; /* -1: none. */
    const char *name;
};
#define KV_IO_FILE_NONE ((struct kv_io_file){.fd = -1, .name = ""})

/* Who and what a file is. */
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
    int64_t changed_ns; /* When, by the file system; 0 where only a name was
                           looked at. */
};

enum kv_io_open_mode {
    KV_IO_READ,         /* An existing file, to read. */
    KV_IO_WRITE,        /* An existing file, to read and write. */
    KV_IO_WRITE_CREATE, /* The same, created with mode 0600 where absent. */
    KV_IO_CREATE_NEW    /* Must not exist yet. */
};

/* Memory. NULL, with the last error set, where there is none. */
void *kv_io_allocate(size_t size);
void kv_io_free(void *memory);

/* Opens a directory. Descriptors are never 0 to 2, and close on exec. The name
 * for messages is "the data directory". A missing one is KVSTORE_IO with
 * ENOENT. */
kvstore_status kv_io_open_directory(const char *path,
                                    struct kv_io_file *directory_out);

/* Creates a directory, mode 0700, where there is none, and those above it,
 * and syncs the directory above each that it made. */
kvstore_status kv_io_make_directories(const char *path);

/* Opens a regular file in a directory; follows no symbolic link. */
kvstore_status kv_io_open(const struct kv_io_file *directory,
                          const char *name,
                          enum kv_io_open_mode mode,
                          struct kv_io_file *file_out);

/* A second descriptor of an open file, which shares its locks. */
kvstore_status kv_io_duplicate(const struct kv_io_file *file,
                               struct kv_io_file *file_out);

/* Takes -1 as nothing to close, and leaves -1. */
void kv_io_close(struct kv_io_file *file);

/* Around fork(), for its handlers: no descriptor is opened or closed meanwhile.
 * In the child, all files and directories that are open by the calls above are
 * closed, whoever was to close them. */
void kv_io_before_fork(void);
void kv_io_after_fork(void);
void kv_io_after_fork_in_child(void);

kvstore_status kv_io_stat(const struct kv_io_file *file,
                          struct kv_io_stat *stat_out);

/* Never fails: what cannot be found out is not known. */
struct kv_io_birth kv_io_birth(const struct kv_io_file *file);

/* By name. KVSTORE_NOT_FOUND, without an error set, where there is none. */
kvstore_status kv_io_stat_name(const struct kv_io_file *directory,
                               const char *name,
                               struct kv_io_stat *stat_out);

/* Reads until size bytes or the end of the file; read_out says how many. */
kvstore_status kv_io_read(const struct kv_io_file *file,
                          uint64_t offset,
                          void *buffer,
                          size_t size,
                          size_t *read_out);

/* Reads what one call gives: some bytes, or none at the end of the file. */
kvstore_status kv_io_read_some(const struct kv_io_file *file,
                               uint64_t offset,
                               void *buffer,
                               size_t size,
                               size_t *read_out);

/* Writes all bytes, or fails; a failure may leave a part of them. A limit on
 * file sizes is KVSTORE_IO with EFBIG, and raises no SIGXFSZ. */
kvstore_status kv_io_write(const struct kv_io_file *file,
                           uint64_t offset,
                           const void *bytes,
                           size_t size);

kvstore_status kv_io_truncate(const struct kv_io_file *file, uint64_t size);

/* Data and size to the disk (fdatasync); all of it, or a directory (fsync). */
kvstore_status kv_io_sync_data(const struct kv_io_file *file);
kvstore_status kv_io_sync(const struct kv_io_file *file);

kvstore_status kv_io_rename(const struct kv_io_file *directory,
                            const char *from,
                            const char *to);
kvstore_status kv_io_unlink(const struct kv_io_file *directory,
                            const char *name);

/* Takes the lock on a file or directory (flock): tries, spins a little, backs
 * off up to a millisecond. KVSTORE_BUSY after timeout_ms (0: try once,
 * INT32_MAX: for ever). waiting: where not NULL, told the coarse time at each
 * try that fails. */
kvstore_status kv_io_lock(const struct kv_io_file *file,
                          int32_t timeout_ms,
                          _Atomic uint64_t *waiting);
void kv_io_unlock(const struct kv_io_file *file);

/* Takes the lock at once, alone or with others, or says that it is not to be
 * had. A lock of this file that is held is given up first. */
kvstore_status kv_io_try_lock(const struct kv_io_file *file,
                              bool is_shared,
                              bool *is_locked_out);

/* The size of a file, cheaper than by kv_io_stat(). */
kvstore_status kv_io_end(const struct kv_io_file *file, uint64_t *end_out);

/* Where data may follow, at an offset of the file or past it: all bytes between
 * are a hole, and read as zeros. It is the offset itself where the system does not
 * tell; the end of the file where only a hole follows. */
uint64_t kv_io_next_data(const struct kv_io_file *file, uint64_t offset);

/* Gives a new file its size, with room on the disk for all of it: what is
 * mapped later must not run into a full disk. */
kvstore_status kv_io_allocate_blocks(const struct kv_io_file *file,
                                     uint64_t size);

/* Maps size bytes of a file from an offset on, shared with all who do. They may
 * reach beyond its end, where nobody touches them. */
kvstore_status kv_io_map(const struct kv_io_file *file,
                         uint64_t offset,
                         size_t size,
                         bool is_writable,
                         void **memory_out);
void kv_io_unmap(void *memory, size_t size);

/* Has all pages of a writable mapping in memory, ready to be written: faster
 * than touching each, and what cannot be written is an error here rather than a
 * SIGBUS later. Does nothing where the system has no such call. */
kvstore_status kv_io_populate(const struct kv_io_file *file,
                              void *memory,
                              size_t size);

/* The boot and the mount that a file is seen through: what a mapping holds is
 * known to be in this kernel's memory only while both are the same. Zeros where
 * the system does not tell. */
kvstore_status kv_io_boot_id(uint64_t id_out[2]);
kvstore_status kv_io_mount_id(const struct kv_io_file *file, uint64_t *id_out);

/* A clock that costs next to nothing and moves every few milliseconds. */
int64_t kv_io_clock_coarse_ns(void);

/* Calls back for each name in a directory that begins and ends so. */
typedef void (*kv_io_visit_name)(void *context, const char *name);
kvstore_status kv_io_list(const struct kv_io_file *directory,
                          const char *prefix,
                          const char *suffix,
                          kv_io_visit_name visit,
                          void *context);

/* Is the file on a network file system? */
kvstore_status kv_io_is_remote(const struct kv_io_file *file,
                               bool *is_remote_out);

/* Is the file on a file system that is known to keep what is stored in a
 * mapping as well as what is written? */
bool kv_io_takes_mapped_writes(const struct kv_io_file *file);

uint64_t kv_io_process_id(void);
uid_t kv_io_user_id(void);
int64_t kv_io_clock_ns(void);
int64_t kv_io_clock_real_ms(void); /* Since the epoch. May jump. */
void kv_io_sleep_ns(int64_t ns);

/* Starts a thread that takes no signals; the caller joins it. KVSTORE_NO_MEMORY
 * where the system has no room for another one. */
kvstore_status kv_io_start_thread(pthread_t *thread,
                                  void *(*run)(void *context),
                                  void *context);

/* A random number for the index's seed. */
kvstore_status kv_io_random(uint64_t *random_out);

#endif
