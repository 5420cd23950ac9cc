/* SPDX-License-Identifier: MIT */

/* Time that passes where somebody sleeps, and nowhere else: nobody waits, and
 * waits are counted to the nanosecond. For tests of one thread. */

#ifndef IDLE_CLOCK_H
#define IDLE_CLOCK_H

#include <stdint.h>

/* Takes the place of the system's clock and sleep. */
void idle_clock_start(void);

/* The system's own again. */
void idle_clock_stop(void);

/* How long was slept since this was last asked, or since the start. */
int64_t idle_clock_slept_ns(void);

#endif
