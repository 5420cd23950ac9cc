/* SPDX-License-Identifier: MIT */

/* All cells of a plan, round by round. */

#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include "plan.h"

/* Measures everything, in a new directory that is removed in any case. Returns
 * 0, an exit status, or 128 plus the signal that interrupted it. */
int bench_rounds_run(struct bench_plan *plan);

#endif
