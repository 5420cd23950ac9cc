/* SPDX-License-Identifier: MIT */

/* Three ways to show what came out of a plan. */

#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "machine.h"
#include "plan.h"

#include <stdio.h>

/* Markdown tables: a summary, one table for each group, what the stores
 * promise, and what failed. */
void bench_report_tables(const struct bench_plan *plan,
                         const struct bench_machine *machine,
                         FILE *file);

/* All figures of all rounds. */
bool bench_report_json(const struct bench_plan *plan,
                       const struct bench_machine *machine,
                       const char *path);

/* SVG files, by gnuplot. */
bool bench_report_plots(const struct bench_plan *plan, const char *dir);

/* "10 k", "1 M" */
void bench_report_count(uint64_t count, char *text_out, size_t size);

#endif
