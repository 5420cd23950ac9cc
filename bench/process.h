/* SPDX-License-Identifier: MIT */

/* Commands that the benchmark runs and times, and the process itself. */

#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "workload.h"

/* Finds the program of a command, as a shell would. */
bool bench_command_find(struct bench_command *command);

/* Runs a command and discards its output; false if it does not end well. */
bool bench_command_run(const struct bench_command *command,
                       double *seconds_out);

/* Runs a command and keeps the beginning of what it prints. */
bool bench_command_read(const struct bench_command *command,
                        char *text_out,
                        size_t size);

/* Runs the store's own tool and /bin/true in turn, up to run->pairs times, with
 * changing keys; the median of each, in us. */
bool bench_time_tool(struct bench_run *run,
                     bool is_set,
                     double *tool_out,
                     double *true_out);

/* Bytes that this process has passed to write calls, not what went into a mapped
 * file; 0 where the system does not tell. */
uint64_t bench_written_bytes(void);

#endif
