/* SPDX-License-Identifier: MIT */

/* One cell, measured in a process of its own. */

#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "plan.h"

/* Runs a workload in a child process and adds what it reports to the cell. A
 * child that dies, or takes too long, is a note in the cell. Returns false
 * then, and when the run was interrupted. */
bool bench_cell_run(const struct bench_workload *workload,
                    struct bench_run *run,
                    struct bench_cell *cell);

/* From here on SIGINT, SIGTERM and SIGHUP only end the child that runs and are
 * remembered. */
void bench_cell_catch_signals(void);

/* The signal that was caught, or 0. */
int bench_cell_signal(void);

#endif
