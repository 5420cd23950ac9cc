/* SPDX-License-Identifier: MIT */

/* A store with a log of which about half is stale, for workloads that compact
 * it. It takes a while to make, so it is made once and copied. */

#ifndef BENCH_STALE_H
#define BENCH_STALE_H

#include "workload.h"

/* Puts a copy of it into the run's directory, which is empty. */
bool bench_stale_copy(struct bench_run *run);

#endif
