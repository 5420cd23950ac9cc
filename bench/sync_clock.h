/* SPDX-License-Identifier: MIT */

/* How long this program, and the library that is linked into it, wait for the
 * disk in fsync and fdatasync. The peers are shared libraries, and not seen. */

#ifndef BENCH_SYNC_CLOCK_H
#define BENCH_SYNC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Can it be told? Not where the linker does not know --wrap. */
bool bench_sync_clock_works(void);

/* Nanoseconds so far, of all threads together. */
uint64_t bench_sync_clock_nanoseconds(void);

#endif
