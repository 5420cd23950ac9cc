/* SPDX-License-Identifier: MIT */

/* One cell, measured in a process of its own. */

#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "plan.h"

/* Runs a workload in a child process and adds what it reports to the cell. If
 * the child dies or takes too long, adds a note to the cell. Returns false
 * then, and if the run was interrupted. */
bool bench_cell_run(const struct bench_workload *workload,
                    struct bench_run *run,
                    struct bench_cell *cell);

/* From now on SIGINT, SIGTERM and SIGHUP only end the running child, and are
 * remembered. */
void bench_cell_catch_signals(void);

/* The signal that was caught, or 0. */
int bench_cell_signal(void);

#endif
