/* SPDX-License-Identifier: MIT */

/* What trials do: together, all calls of kvstore.h in all situations. */

#ifndef FAULT_WORKLOADS_H
#define FAULT_WORKLOADS_H

#include "fault_trial.h"

extern const struct trial_workload fault_workloads[];
extern const size_t fault_workload_count;
extern const struct trial_workload fault_workloads_more[];
extern const size_t fault_workload_more_count;
extern const struct trial_workload fault_workloads_keys[];
extern const size_t fault_workload_keys_count;

/* Those of the calls that read lines of other programs, which need cJSON. */
extern const struct trial_workload fault_workloads_foreign[];
extern const size_t fault_workload_foreign_count;

#endif
