/* SPDX-License-Identifier: MIT */

/* A table of system calls that forwards to the system's own and lets the n-th
 * call fail, or two calls. Counts calls, and what is open and allocated, so that
 * leaks show. One table for the whole program, whose threads take turns: one
 * that the library starts runs only while fault_table_run_thread() waits for
 * it. */

#ifndef FAULT_TABLE_H
#define FAULT_TABLE_H

#include "fault_kinds.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The table that calls are passed on to once one has been put in place. NULL, as
 * at first: the system's own. */
void fault_table_forward_to(const struct kv_io_table *table_below);

/* Puts a table in place: no fault, all counts zero. */
void fault_table_install(void);

/* Puts the system's own table back, but nothing waits. */
void fault_table_uninstall(void);

/* Lets the n-th call, from 1, to which the kind applies fail; or it and all
 * after it. NULL: none. */
void fault_table_plan(const struct fault_kind *kind,
                      uint64_t n,
                      bool is_for_good);

/* Lets two calls fail: the first_n-th and, later, the second_n-th of those to
 * which at least one of the kinds applies; a call to which its own kind does not
 * apply goes on. */
void fault_table_plan_pair(const struct fault_kind *first,
                           uint64_t first_n,
                           const struct fault_kind *second,
                           uint64_t second_n);

/* Returns how many calls there were, since the plan was made, that it counts. */
uint64_t fault_table_position(void);

/* Return how many calls have failed since the plan was made, all and of one
 * sort. */
uint64_t fault_table_fired(void);
uint64_t fault_table_fired_at(enum fault_call call);

/* Returns the name of the first call that has failed, or of the last; NULL:
 * none. */
const char *fault_table_first_fired(void);
const char *fault_table_last_fired(void);

/* True if a call has failed with this errno since the last time that they were
 * forgotten. */
bool fault_table_has_given(int error);
void fault_table_forget_errors(void);

/* Lets the thread that the library has started run to its end, if there is one.
 * Until then it does nothing. */
void fault_table_run_thread(void);

/* The counts since the table was installed. */
uint64_t fault_table_calls(enum fault_call call);
uint64_t fault_table_all_calls(void);
int fault_table_open_files(void);
int64_t fault_table_allocations(void);

/* Returns how often something was closed that was not open, or more was freed
 * than was allocated. */
int fault_table_misuses(void);

/* Routes cJSON's allocations through the table, or back. */
void fault_table_hook_cjson(bool is_hooked);

#endif
