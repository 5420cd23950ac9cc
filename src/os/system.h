/* SPDX-License-Identifier: MIT */

/* Every system call and every allocation of the library, through one table that
 * tests can swap; memory, clocks, threads, random numbers. */

#ifndef KV_OS_SYSTEM_H
#define KV_OS_SYSTEM_H

#include "kvstore.h"

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What distinguishes a file from an earlier one with the same number; each is 0
 * if the system does not know it. */
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
    ssize_t (*pwrite)(int fd, const void *bytes, size_t size, off_t offset);
    uint64_t (*size_limit)(void); /* RLIMIT_FSIZE; 0: not known */
    int (*ftruncate)(int fd, off_t size);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*fstat)(int fd, struct stat *stat_out);
    int (*fstatat)(int dir_fd, const char *name, struct stat *stat_out);
    int (*fchown)(int fd, uid_t owner, gid_t group);
    int (*fchmod)(int fd, mode_t mode);
    /* acl(5), as the kernel returns it; size 0: none. */
    ssize_t (*get_access_list)(int fd, void *buffer, size_t size);
    int (*set_access_list)(int fd, const void *bytes, size_t size);
    int (*mkdir)(const char *path, mode_t mode);
    int (*renameat)(int dir_fd, const char *from, const char *to);
    int (*unlinkat)(int dir_fd, const char *name);
    int (*flock)(int fd, int operation);
    int (*hold)(int fd);     /* F_OFD_SETLK, a read lock on the first byte */
    bool (*is_held)(int fd); /* F_OFD_GETLK */
    int (*allocate_blocks)(int fd, off_t size); /* fallocate(fd, 0, 0, size) */
    void *(*mmap)(size_t size, bool is_writable, int fd, off_t offset);
    int (*munmap)(void *memory, size_t size);
    int (*populate)(void *memory, size_t size); /* MADV_POPULATE_WRITE */
    off_t (*file_end)(int fd);                  /* lseek(fd, 0, SEEK_END) */
    off_t (*next_data)(int fd, off_t offset);   /* lseek(, , SEEK_DATA) */
    uint64_t (*mount_id)(int fd);               /* statx; 0: not known */
    void (*birth)(int fd, struct kv_io_birth *birth_out);
    int (*boot_id)(uint64_t *id_out); /* 0: not known */
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
    void *(*realloc)(void *memory, size_t size);
    void (*free)(void *memory);
#ifdef KV_IO_SWAPPABLE
    void (*step)(const char *name); /* Does nothing. */
#endif
};

const struct kv_io_table *kv_io_table(void);

/* Test builds only: the system's own table; the table to use from now on; and a
 * call at each step that is not marked by a system call, named for what has
 * just been stored in memory that other processes share. */
#ifdef KV_IO_SWAPPABLE
const struct kv_io_table *kv_io_system_table(void);
void kv_io_swap_table(const struct kv_io_table *table);
void kv_io_step(const char *name);
#else
#define kv_io_step(name) ((void)0)
#endif

/* The most frequent cases have short ways beside those that serve all cases.
 * Test builds can do without them, to compare. */
#ifdef KV_IO_SWAPPABLE
bool kv_io_takes_short_ways(void);
void kv_io_take_short_ways(bool takes_them);
#else
#define kv_io_takes_short_ways() true
#endif

/* For the few functions of which a call costs more than what it does: all that
 * they call is compiled into them. And for what they rarely call: it stays
 * apart, so that they need not save what it uses. */
#if defined(__GNUC__)
#define KV_FLATTENED __attribute__((flatten))
#define KV_RARE __attribute__((noinline, cold))
#else
#define KV_FLATTENED
#define KV_RARE
#endif

/* Before a short loop of a few instructions each: single ones are made of it. */
#if defined(__GNUC__) && !defined(__clang__)
#define KV_UNROLLED _Pragma("GCC unroll 16")
#else
#define KV_UNROLLED
#endif

/* True if a call with this errno did nothing because an old kernel, a file
 * system or a sandbox does not have it, or not for this process. */
bool kv_io_is_unavailable(int call_errno);

/* Memory. NULL, with the last error set, if there is none. */
void *kv_io_allocate(size_t size);

/* Makes an allocation larger or smaller, if need be at another place. NULL: it
 * is as it was. Large ones are moved by the system, without a copy. */
void *kv_io_reallocate(void *memory, size_t size);
void kv_io_free(void *memory);

/* A clock that costs almost nothing and advances every few milliseconds. */
int64_t kv_io_clock_coarse_ns(void);

uint64_t kv_io_process_id(void);
uid_t kv_io_user_id(void);
int64_t kv_io_clock_ns(void);
int64_t kv_io_clock_real_ms(void); /* Since the epoch. May jump. */
void kv_io_sleep_ns(int64_t ns);

/* Starts a thread that takes no signals; the caller joins it. KVSTORE_NO_MEMORY
 * if the system has no room for another one. */
kvstore_status kv_io_start_thread(pthread_t *thread,
                                  void *(*run)(void *context),
                                  void *context);

/* Random bytes, at most 256. */
kvstore_status kv_io_random(void *bytes_out, size_t size);

#endif
