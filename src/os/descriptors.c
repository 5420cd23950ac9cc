/* SPDX-License-Identifier: MIT */

/* The descriptors that the library has open, one bit for each. */

#include "os/descriptors.h"

#include "os/system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

/* Higher ones are not noted. Processes with so many are rare, and a handle's
 * own are closed in any case. */
#define DESCRIPTORS_MAX 65536

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t words[DESCRIPTORS_MAX / 64];

void kv_io_descriptors_hold(void)
{
    (void)pthread_mutex_lock(&mutex);
}

void kv_io_descriptors_let_go(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

static bool is_told_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS_MAX;
}

void kv_io_descriptors_add(int fd)
{
    if (is_told_of(fd)) {
        words[fd / 64] |= UINT64_C(1) << fd % 64;
    }
}

void kv_io_descriptors_remove(int fd)
{
    if (is_told_of(fd)) {
        words[fd / 64] &= ~(UINT64_C(1) << fd % 64);
    }
}

void kv_io_before_fork(void)
{
    kv_io_descriptors_hold();
}

void kv_io_after_fork(void)
{
    kv_io_descriptors_let_go();
}

void kv_io_after_fork_in_child(void)
{
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        uint64_t word = words[fd / 64];
        if (word == 0) {
            fd |= 63;
        } else if ((word >> fd % 64 & 1) != 0) {
            kv_io_descriptors_remove(fd);
            (void)kv_io_table()->close(fd);
        }
    }
    kv_io_descriptors_let_go();
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

/* Makes sure that we never use 0 to 2: a host program that closed its standard
 * error must not write into our log. */
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

int kv_io_descriptors_open(int dir_fd, const char *name, int flags, mode_t mode)
{
    kv_io_descriptors_hold();
    int fd = above_standard(retry_openat(dir_fd, name, flags, mode));
    kv_io_descriptors_add(fd);
    kv_io_descriptors_let_go();
    return fd;
}

void kv_io_descriptors_close(int fd)
{
    kv_io_descriptors_hold();
    kv_io_descriptors_remove(fd);
    (void)kv_io_table()->close(fd);
    kv_io_descriptors_let_go();
}
