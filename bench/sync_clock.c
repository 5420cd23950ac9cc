/* SPDX-License-Identifier: MIT */

/* The linker redirects all calls of fsync and fdatasync to here (--wrap, in
 * CMakeLists.txt), from this program and from libkvstore.a, which itself is the
 * library as shipped. */

#include "sync_clock.h"

#include "workload.h"

#include <stdatomic.h>

static atomic_ullong waited;

#ifdef BENCH_WRAPS_SYNC

/* Names made by the linker. */
int __real_fsync(int fd);     /* NOLINT */
int __real_fdatasync(int fd); /* NOLINT */
int __wrap_fsync(int fd);     /* NOLINT */
int __wrap_fdatasync(int fd); /* NOLINT */

int __wrap_fsync(int fd) /* NOLINT */
{
    uint64_t begin = bench_nanoseconds();
    int result = __real_fsync(fd);
    atomic_fetch_add(&waited, bench_nanoseconds() - begin);
    return result;
}

int __wrap_fdatasync(int fd) /* NOLINT */
{
    uint64_t begin = bench_nanoseconds();
    int result = __real_fdatasync(fd);
    atomic_fetch_add(&waited, bench_nanoseconds() - begin);
    return result;
}

bool bench_sync_clock_works(void)
{
    return true;
}

#else

bool bench_sync_clock_works(void)
{
    return false;
}

#endif

uint64_t bench_sync_clock_nanoseconds(void)
{
    return atomic_load(&waited);
}
