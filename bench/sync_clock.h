/* SPDX-License-Identifier: MIT */

/* How long this program, and the library that is linked into it, wait for the
 * disk in fsync and fdatasync. Calls from the peers, which are shared
 * libraries, are not seen. */

#ifndef BENCH_SYNC_CLOCK_H
#define BENCH_SYNC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* True if this is known, that is, if the linker knows --wrap. */
bool bench_sync_clock_works(void);

/* Nanoseconds so far, by all threads together. */
uint64_t bench_sync_clock_nanoseconds(void);

#endif
