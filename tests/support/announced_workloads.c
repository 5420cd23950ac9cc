/* SPDX-License-Identifier: MIT */

/* announced_workloads [PLANT]: runs all workloads, without faults, with a table
 * that makes each call known to whoever traces the program, and prints how often
 * each was called. PLANT makes a call beside the table, in the first workload
 * alone, which must be found out. */

#include "announced_table.h"
#include "fault_trial.h"
#include "fault_workloads.h"

#include <stdio.h>
#include <stdlib.h>

static void mark(const struct trial_workload *workload, bool begins)
{
    announced_mark(begins ? "begin" : "end", workload->name);
}

static void run(const struct trial_workload *workloads,
                size_t count,
                struct trial_figures *figures)
{
    for (size_t i = 0; i < count; i++) {
        (void)trial_run_plainly(&workloads[i], NULL, figures);
    }
}

int main(int argc, char **argv)
{
    struct trial_figures figures = {.faults = 0};
    if (argc > 1 && !announced_plant(argv[1])) {
        (void)fprintf(stderr, "usage: announced_workloads [PLANT]\n");
        return 2;
    }
    fault_table_forward_to(announced_table());
    trial_call_at_marks(mark);
    if (argc > 1) {
        run(fault_workloads, 1, &figures);
    } else {
        run(fault_workloads, fault_workload_count, &figures);
        run(fault_workloads_more, fault_workload_more_count, &figures);
        run(fault_workloads_keys, fault_workload_keys_count, &figures);
    }
    announced_print();
    return figures.complaints == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
