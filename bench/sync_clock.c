/* SPDX-License-Identifier: MIT */

/* The linker is told to lead fsync and fdatasync here (--wrap, in
 * CMakeLists.txt), whoever calls them in this program or in libkvstore.a; the
 * library itself is the one that everybody gets. */

#include "sync_clock.h"

#include "workload.h"

#include <stdatomic.h>

static atomic_ullong waited;

#ifdef BENCH_WRAPS_SYNC

/* The linker makes these names. */
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
