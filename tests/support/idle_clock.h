/* SPDX-License-Identifier: MIT */

/* Time that passes during a sleep, and at no other time: nothing really waits,
 * and waits are counted to the nanosecond. For tests of one thread. */

#ifndef IDLE_CLOCK_H
#define IDLE_CLOCK_H

#include <stdint.h>

/* Takes the place of the system's clock and sleep. */
void idle_clock_start(void);

/* Puts the system's own back. */
void idle_clock_stop(void);

/* Returns how long was slept since the last call, or since the start. */
int64_t idle_clock_slept_ns(void);

#endif
