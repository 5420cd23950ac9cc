/* SPDX-License-Identifier: MIT */

/* The benchmark: reads the options, has everything measured, shows it. */

#include "options.h"
#include "plan.h"
#include "report.h"
#include "rounds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static bool show(const struct bench_plan *plan)
{
    const struct bench_options *options = &plan->options;
    struct bench_machine machine;
    bench_machine_describe(&machine, options->dir);
    bench_report_tables(plan, &machine, stdout);
    bool is_shown = fflush(stdout) == 0;
    if (options->json_file != NULL) {
        is_shown =
            bench_report_json(plan, &machine, options->json_file) && is_shown;
    }
    if (options->plots_dir != NULL) {
        is_shown = bench_report_plots(plan, options->plots_dir) && is_shown;
    }
    return is_shown;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct bench_plan plan;
    int status = bench_options_parse(&options, argc, argv);
    if (status >= 0) {
        return status;
    }
    if (!bench_plan_init(&plan, &options)) {
        return 2;
    }
    status = bench_rounds_run(&plan);
    if (status == 0 && !show(&plan)) {
        status = 3;
    }
    bench_plan_release(&plan);
    if (status > 128) {
        /* The directories are gone: end as the signal would have. */
        (void)signal(status - 128, SIG_DFL);
        (void)raise(status - 128);
    }
    return status;
}
