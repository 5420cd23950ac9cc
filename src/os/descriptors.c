/* SPDX-License-Identifier: MIT */

/* The descriptors that the library has open, one bit for each. */

#include "os/descriptors.h"

#include "os/file.h"
#include "os/system.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Higher ones are not told of. Processes with so many are rare, and a handle's
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
