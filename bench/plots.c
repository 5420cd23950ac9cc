/* SPDX-License-Identifier: MIT */

/* The figures as plots. Writes tables of numbers into a directory of their own
 * and has gnuplot run the scripts in plots/ on them. A table's first line names
 * the stores, its first column what is measured; a missing figure is a "?". */

#include "directory.h"
#include "process.h"
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void write_heads(const struct bench_plan *plan, FILE *file)
{
    (void)fputs("\"\"", file);
    for (size_t i = 0; i < plan->store_count; i++) {
        (void)fprintf(file, "\t\"%s\"", plan->stores[i]->name);
    }
    (void)fputc('\n', file);
}

static void write_row(const struct bench_plan *plan,
                      size_t case_number,
                      size_t metric,
                      FILE *file)
{
    const struct bench_case *each = &plan->cases[case_number];
    if (each->workload->sizes == BENCH_EACH_SIZE ||
        each->workload->sizes == BENCH_TO_FIFTY_TIMES) {
        (void)fprintf(file, "%llu", (unsigned long long)each->keys);
    } else {
        (void)fprintf(file, "\"%s\"", each->workload->metrics[metric].title);
    }
    for (size_t i = 0; i < plan->store_count; i++) {
        struct bench_figure figure =
            bench_plan_figure(plan, case_number, i, metric);
        if (figure.is_there) {
            (void)fprintf(file, "\t%.6g", figure.median);
        } else {
            (void)fputs("\t?", file);
        }
    }
    (void)fputc('\n', file);
}

/* Which rows are in a table: those of a workload's one metric, or of all its
 * metrics, or all rates. */
struct selection {
    const char *file;
    const char *workload; /* NULL: all that have the unit. */
    const char *metric;   /* NULL: all. */
    const char *unit;     /* NULL: any. */
};

static const struct selection selections[] = {
    {"throughput", NULL, NULL, "M/s"},
    {"cost-get", "cost", "get", NULL},
    {"cost-set", "cost", "set", NULL},
    {"one-shot", "cost", "one-shot", NULL},
    {"latency", "latency", NULL, NULL},
    {"latency-compacting", "latency-compacting", NULL, NULL},
    {"scale-set", "scale", "set", NULL},
    {"scale-overwrite", "scale", "overwrite", NULL},
    {"scale-get", "scale", "get", NULL},
    {"scale-compaction", "scale", "compaction", NULL},
    {"scale-rebuild", "scale", "rebuild", NULL}};

static bool is_selected(const struct selection *selection,
                        const struct bench_workload *workload,
                        size_t metric)
{
    const struct bench_metric *each = &workload->metrics[metric];
    return (selection->workload == NULL ||
            strcmp(workload->name, selection->workload) == 0) &&
           (selection->metric == NULL ||
            strcmp(each->name, selection->metric) == 0) &&
           (selection->unit == NULL ||
            strcmp(each->unit, selection->unit) == 0);
}

static void write_rows(const struct bench_plan *plan,
                       const struct selection *selection,
                       size_t case_number,
                       FILE *file)
{
    const struct bench_workload *workload = plan->cases[case_number].workload;
    for (size_t i = 0; workload->metrics[i].name != NULL; i++) {
        if (is_selected(selection, workload, i)) {
            write_row(plan, case_number, i, file);
        }
    }
}

/* A new table's file; NULL if it cannot be created. */
static FILE *create_table(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s.tsv", dir, name);
    return length < PATH_MAX ? fopen(path, "w") : NULL;
}

static bool write_table(const struct bench_plan *plan,
                        const struct selection *selection,
                        const char *dir)
{
    FILE *file = create_table(dir, selection->file);
    if (file == NULL) {
        return false;
    }
    write_heads(plan, file);
    for (size_t i = 0; i < plan->case_count; i++) {
        write_rows(plan, selection, i, file);
    }
    return fclose(file) == 0;
}

/* --- Tables of one workload on kvstore, a column for each of its rows --- */

static const char *const workloads_with_rows[] = {"stall", "stall-paced"};

/* True if the metric begins a row. */
static bool begins_row(const struct bench_metric *metrics, size_t number)
{
    const char *row = metrics[number].row;
    return row != NULL && row[0] != '\0' &&
           (number == 0 || metrics[number - 1].row == NULL ||
            strcmp(metrics[number - 1].row, row) != 0);
}

/* Writes the figures of a column, beginning at the first row that has it. */
static void write_column(const struct bench_plan *plan,
                         size_t case_number,
                         size_t store_number,
                         size_t first,
                         FILE *file)
{
    const struct bench_metric *metrics =
        plan->cases[case_number].workload->metrics;
    (void)fprintf(file, "\"%s\"", metrics[first].title);
    for (size_t i = first; metrics[i].name != NULL; i++) {
        struct bench_figure figure =
            bench_plan_figure(plan, case_number, store_number, i);
        if (strcmp(metrics[i].title, metrics[first].title) == 0 &&
            figure.is_there) {
            (void)fprintf(file, "\t%.6g", figure.median);
        }
    }
    (void)fputc('\n', file);
}

static void write_columns(const struct bench_plan *plan,
                          size_t case_number,
                          size_t store_number,
                          FILE *file)
{
    const struct bench_metric *metrics =
        plan->cases[case_number].workload->metrics;
    size_t first = 0;
    while (metrics[first].name != NULL && !begins_row(metrics, first)) {
        first++;
    }
    (void)fputs("\"\"", file);
    for (size_t i = first; metrics[i].name != NULL; i++) {
        if (begins_row(metrics, i)) {
            (void)fprintf(file, "\t\"%s\"", metrics[i].row);
        }
    }
    (void)fputc('\n', file);
    for (size_t i = first;
         metrics[i].name != NULL && (i == first || !begins_row(metrics, i));
         i++) {
        write_column(plan, case_number, store_number, i, file);
    }
}

/* Uses the first handle, which is the default one. If nothing was measured, the
 * file is empty. */
static bool write_table_of_rows(const struct bench_plan *plan,
                                const char *name,
                                const char *dir)
{
    FILE *file = create_table(dir, name);
    if (file == NULL) {
        return false;
    }
    for (size_t i = 0; i < plan->case_count; i++) {
        if (plan->store_count > 0 &&
            strcmp(plan->cases[i].workload->name, name) == 0 &&
            bench_plan_figure(plan, i, 0, 0).is_there) {
            write_columns(plan, i, 0, file);
        }
    }
    return fclose(file) == 0;
}

static bool draw(const char *script,
                 const char *data_dir,
                 const char *plots_dir)
{
    struct bench_command command = {.arguments = {"gnuplot", "-e"}};
    double seconds;
    int length = snprintf(command.text[0],
                          sizeof command.text[0],
                          "data = '%s'; image = '%s/%s.svg'",
                          data_dir,
                          plots_dir,
                          script);
    if (length < 0 || (size_t)length >= sizeof command.text[0]) {
        return bench_fail("the path of the plots is too long");
    }
    (void)snprintf(command.text[1],
                   sizeof command.text[1],
                   "%s/%s.gp",
                   BENCH_PLOTS_DIR,
                   script);
    command.arguments[2] = command.text[0];
    command.arguments[3] = command.text[1];
    return bench_command_find(&command) &&
           bench_command_run(&command, &seconds);
}

static bool was_run(const struct bench_plan *plan, const char *workload)
{
    for (size_t i = 0; i < plan->case_count; i++) {
        if (strcmp(plan->cases[i].workload->name, workload) == 0) {
            return true;
        }
    }
    return false;
}

/* Draws each plot whose workload was run. */
static bool draw_all(const struct bench_plan *plan,
                     const char *data_dir,
                     const char *plots_dir)
{
    static const struct {
        const char *script;
        const char *workload;
    } plots[] = {{"throughput", "fill-random"},
                 {"cost", "cost"},
                 {"one_shot", "cost"},
                 {"latency", "latency"},
                 {"scale", "scale"}};
    bool are_drawn = true;
    for (size_t i = 0; i < sizeof plots / sizeof plots[0]; i++) {
        are_drawn = (!was_run(plan, plots[i].workload) ||
                     draw(plots[i].script, data_dir, plots_dir)) &&
                    are_drawn;
    }
    return are_drawn;
}

bool bench_report_plots(const struct bench_plan *plan, const char *dir)
{
    char data_dir[PATH_MAX];
    int length = snprintf(data_dir, sizeof data_dir, "%s/data-XXXXXX", dir);
    if ((mkdir(dir, 0777) != 0 && errno != EEXIST) || length >= PATH_MAX ||
        mkdtemp(data_dir) == NULL) {
        (void)fprintf(stderr,
                      "kvstore_bench: cannot write into '%s': %s\n",
                      dir,
                      strerror(errno));
        return false;
    }
    bool are_drawn = true;
    for (size_t i = 0; i < sizeof selections / sizeof selections[0]; i++) {
        are_drawn = write_table(plan, &selections[i], data_dir) && are_drawn;
    }
    size_t count = sizeof workloads_with_rows / sizeof workloads_with_rows[0];
    for (size_t i = 0; i < count; i++) {
        are_drawn =
            write_table_of_rows(plan, workloads_with_rows[i], data_dir) &&
            are_drawn;
    }
    are_drawn = are_drawn && draw_all(plan, data_dir, dir);
    bench_directory_remove(data_dir);
    if (!are_drawn) {
        const char *reason = bench_failure();
        (void)fprintf(stderr,
                      "kvstore_bench: not all plots were drawn: %s\n",
                      reason != NULL ? reason : strerror(errno));
    }
    return are_drawn;
}
