/* SPDX-License-Identifier: MIT */

/* The figures as Markdown, to be read as it is or pasted into a document. */

#include "report.h"

#include <string.h>

#define NUMBER_SIZE ((size_t)64)
#define TITLE_SIZE ((size_t)128)

static void print_number(double number, char *text_out)
{
    int places = 3;
    if (number >= 100 || number == 0) {
        places = 0;
    } else if (number >= 10) {
        places = 1;
    } else if (number >= 0.995) {
        places = 2;
    }
    (void)snprintf(text_out, NUMBER_SIZE, "%.*f", places, number);
}

void bench_report_count(uint64_t count, char *text_out, size_t size)
{
    if (count >= 1000000 && count % 100000 == 0) {
        (void)snprintf(text_out, size, "%g M", (double)count / 1e6);
    } else if (count >= 1000) {
        (void)snprintf(text_out, size, "%g k", (double)count / 1e3);
    } else {
        (void)snprintf(text_out, size, "%u", (unsigned)count);
    }
}

/* "get" or "get at 10 k keys". */
static void print_title(const struct bench_case *each,
                        size_t metric,
                        char *text_out)
{
    const char *title = each->workload->metrics[metric].title;
    const char *group = each->workload->group;
    bool says_what = strncmp(group, "Latency", 7) != 0 &&
                     strncmp(group, "Amplification", 13) != 0;
    char keys[32] = "";
    if (each->workload->sizes != BENCH_AS_ASKED) {
        bench_report_count(each->keys, keys, sizeof keys);
    }
    (void)snprintf(text_out,
                   TITLE_SIZE,
                   "%s%s%s%s%s%s",
                   says_what ? "" : group,
                   says_what ? "" : ": ",
                   title,
                   keys[0] != '\0' ? " at " : "",
                   keys,
                   keys[0] != '\0' ? " keys" : "");
}

/* --- The summary --- */

/* "0.48 lmdb-writemap", or "-". */
static bool print_best(const struct bench_plan *plan,
                       size_t case_number,
                       size_t metric,
                       enum bench_class among,
                       char *text_out,
                       double *median_out)
{
    size_t store = 0;
    (void)snprintf(text_out, TITLE_SIZE, "-");
    if (!bench_plan_best(plan, case_number, metric, among, &store)) {
        return false;
    }
    char number[NUMBER_SIZE];
    *median_out = bench_plan_figure(plan, case_number, store, metric).median;
    print_number(*median_out, number);
    bool needs_name = among == BENCH_PEERS || among == BENCH_PEERS_SHARING;
    (void)snprintf(text_out,
                   TITLE_SIZE,
                   "%s%s%s",
                   number,
                   needs_name ? " " : "",
                   needs_name ? plan->stores[store]->name : "");
    return true;
}

/* Prints our figure, theirs, and how many times as good ours is. */
static void print_comparison(const struct bench_plan *plan,
                             size_t case_number,
                             size_t metric,
                             bool is_sharing,
                             FILE *file)
{
    char ours[TITLE_SIZE];
    char theirs[TITLE_SIZE];
    char ratio[NUMBER_SIZE] = "-";
    double our_median = 0;
    double their_median = 0;
    bool has_ours = print_best(plan,
                               case_number,
                               metric,
                               is_sharing ? BENCH_OURS_SHARING : BENCH_OURS,
                               ours,
                               &our_median);
    bool has_theirs = print_best(plan,
                                 case_number,
                                 metric,
                                 is_sharing ? BENCH_PEERS_SHARING : BENCH_PEERS,
                                 theirs,
                                 &their_median);
    if (has_ours && has_theirs && our_median > 0 && their_median > 0) {
        bool is_better_if_less = plan->cases[case_number]
                                     .workload->metrics[metric]
                                     .is_better_if_less;
        print_number(is_better_if_less ? their_median / our_median
                                       : our_median / their_median,
                     ratio);
    }
    (void)fprintf(file, " %s | %s | %s |", ours, theirs, ratio);
}

static void print_summary(const struct bench_plan *plan, FILE *file)
{
    (void)fputs(
        "## Summary\n\n"
        "Medians. \"x\": how many times as good as the best peer, more or "
        "less being better, whichever it is. A sharing peer is one that lets "
        "several processes write. kvstore is the better of its two handles, "
        "kvstore shared the default one.\n\n"
        "| | unit | kvstore | best peer | x | kvstore shared | best sharing "
        "peer | x | floor |\n"
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: |\n",
        file);
    for (size_t i = 0; i < plan->case_count; i++) {
        const struct bench_workload *workload = plan->cases[i].workload;
        for (size_t j = 0; workload->metrics[j].name != NULL; j++) {
            char text[TITLE_SIZE];
            double median;
            if (workload->metrics[j].row != NULL) {
                continue;
            }
            print_title(&plan->cases[i], j, text);
            (void)fprintf(file, "| %s | %s |", text, workload->metrics[j].unit);
            print_comparison(plan, i, j, false, file);
            print_comparison(plan, i, j, true, file);
            (void)print_best(plan, i, j, BENCH_FLOOR, text, &median);
            (void)fprintf(file, " %s |\n", text);
        }
    }
    (void)fputc('\n', file);
}

/* --- One table for each group --- */

struct column {
    const struct bench_case *of;
    size_t case_number;
    size_t metric;
};

static bool has_row(const struct bench_metric *metric)
{
    return metric->row != NULL && metric->row[0] != '\0';
}

#define COLUMN_COUNT_MAX ((size_t)64)

/* The metrics of a group's workloads, except those in rows of their own. */
static size_t find_columns(const struct bench_plan *plan,
                           const char *group,
                           struct column *columns_out)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->case_count; i++) {
        const struct bench_workload *workload = plan->cases[i].workload;
        if (strcmp(workload->group, group) != 0) {
            continue;
        }
        for (size_t j = 0;
             workload->metrics[j].name != NULL && count < COLUMN_COUNT_MAX;
             j++) {
            const struct column column = {
                .of = &plan->cases[i], .case_number = i, .metric = j};
            if (!has_row(&workload->metrics[j])) {
                columns_out[count++] = column;
            }
        }
    }
    return count;
}

static void print_heads(const struct column *columns, size_t count, FILE *file)
{
    (void)fputs("| |", file);
    for (size_t i = 0; i < count; i++) {
        const struct bench_workload *workload = columns[i].of->workload;
        char keys[32] = "";
        if (workload->sizes != BENCH_AS_ASKED) {
            bench_report_count(columns[i].of->keys, keys, sizeof keys);
        }
        (void)fprintf(file,
                      " %s%s%s, %s |",
                      workload->metrics[columns[i].metric].title,
                      keys[0] != '\0' ? " at " : "",
                      keys,
                      workload->metrics[columns[i].metric].unit);
    }
    (void)fputs("\n| --- |", file);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(" --: |", file);
    }
    (void)fputc('\n', file);
}

/* "0.48 (0.41..0.52)" */
static void print_cell(const struct bench_plan *plan,
                       const struct column *column,
                       size_t store_number,
                       FILE *file)
{
    const struct bench_cell *cell =
        bench_plan_cell(plan, column->case_number, store_number);
    struct bench_figure figure = bench_plan_figure(
        plan, column->case_number, store_number, column->metric);
    if (!figure.is_there) {
        (void)fputs(cell->has_failed ? " failed |" : " - |", file);
        return;
    }
    char median[NUMBER_SIZE];
    char min[NUMBER_SIZE];
    char max[NUMBER_SIZE];
    print_number(figure.median, median);
    print_number(figure.min, min);
    print_number(figure.max, max);
    if (cell->counts[column->metric] > 1) {
        (void)fprintf(file, " %s (%s..%s) |", median, min, max);
    } else {
        (void)fprintf(file, " %s |", median);
    }
}

/* --- Tables of one workload on one store --- */

static bool is_same(const char *left, const char *right)
{
    return left != NULL && right != NULL && strcmp(left, right) == 0;
}

/* The next metric that begins a row, or the end of the metrics. */
static size_t find_row(const struct bench_metric *metrics, size_t from)
{
    while (metrics[from].name != NULL &&
           (!has_row(&metrics[from]) ||
            (from > 0 && is_same(metrics[from].row, metrics[from - 1].row)))) {
        from++;
    }
    return from;
}

static void print_row(const struct bench_plan *plan,
                      size_t case_number,
                      size_t store_number,
                      size_t first,
                      FILE *file)
{
    const struct bench_case *each = &plan->cases[case_number];
    const struct bench_metric *metrics = each->workload->metrics;
    (void)fprintf(file, "| %s |", metrics[first].row);
    for (size_t i = first; is_same(metrics[i].row, metrics[first].row); i++) {
        const struct column column = {
            .of = each, .case_number = case_number, .metric = i};
        print_cell(plan, &column, store_number, file);
    }
    (void)fputc('\n', file);
}

static void print_row_heads(const struct bench_plan *plan,
                            size_t case_number,
                            size_t store_number,
                            size_t first,
                            FILE *file)
{
    const struct bench_case *each = &plan->cases[case_number];
    const struct bench_metric *metrics = each->workload->metrics;
    char keys[32];
    bench_report_count(each->keys, keys, sizeof keys);
    (void)fprintf(file,
                  "### %s, %s keys, %s\n\n| |",
                  each->workload->name,
                  keys,
                  plan->stores[store_number]->name);
    for (size_t i = first; is_same(metrics[i].row, metrics[first].row); i++) {
        (void)fprintf(file, " %s, %s |", metrics[i].title, metrics[i].unit);
    }
    (void)fputs("\n| --- |", file);
    for (size_t i = first; is_same(metrics[i].row, metrics[first].row); i++) {
        (void)fputs(" --: |", file);
    }
    (void)fputc('\n', file);
}

static void print_rows(const struct bench_plan *plan,
                       size_t case_number,
                       size_t store_number,
                       FILE *file)
{
    const struct bench_case *each = &plan->cases[case_number];
    const struct bench_metric *metrics = each->workload->metrics;
    size_t first = find_row(metrics, 0);
    if (metrics[first].name == NULL ||
        !bench_plan_figure(plan, case_number, store_number, first).is_there) {
        return;
    }
    print_row_heads(plan, case_number, store_number, first, file);
    for (size_t i = first; metrics[i].name != NULL;
         i = find_row(metrics, i + 1)) {
        print_row(plan, case_number, store_number, i, file);
    }
    (void)fputc('\n', file);
}

/* --- All groups --- */

/* True if any workload of the group runs on the store. */
static bool is_in_group(const struct bench_plan *plan,
                        const struct column *columns,
                        size_t count,
                        const struct bench_store *store)
{
    for (size_t i = 0; i < count; i++) {
        const struct bench_workload *workload =
            plan->cases[columns[i].case_number].workload;
        if (bench_plan_is_possible(workload, store)) {
            return true;
        }
    }
    return false;
}

static void print_group(const struct bench_plan *plan,
                        const char *group,
                        FILE *file)
{
    struct column columns[COLUMN_COUNT_MAX];
    size_t count = find_columns(plan, group, columns);
    (void)fprintf(file, "## %s\n\n", group);
    print_heads(columns, count, file);
    for (size_t i = 0; i < plan->store_count; i++) {
        if (!is_in_group(plan, columns, count, plan->stores[i])) {
            continue;
        }
        (void)fprintf(file, "| %s |", plan->stores[i]->name);
        for (size_t j = 0; j < count; j++) {
            print_cell(plan, &columns[j], i, file);
        }
        (void)fputc('\n', file);
    }
    (void)fputc('\n', file);
    for (size_t i = 0; i < plan->case_count * plan->store_count; i++) {
        size_t each = i / plan->store_count;
        if (strcmp(plan->cases[each].workload->group, group) == 0) {
            print_rows(plan, each, i % plan->store_count, file);
        }
    }
}

static bool is_first_of_group(const struct bench_plan *plan, size_t case_number)
{
    const char *group = plan->cases[case_number].workload->group;
    for (size_t i = 0; i < case_number; i++) {
        if (strcmp(plan->cases[i].workload->group, group) == 0) {
            return false;
        }
    }
    return true;
}

static void print_groups(const struct bench_plan *plan, FILE *file)
{
    for (size_t i = 0; i < plan->case_count; i++) {
        if (is_first_of_group(plan, i)) {
            print_group(plan, plan->cases[i].workload->group, file);
        }
    }
}

/* --- Promises and failures --- */

static void print_promises(const struct bench_plan *plan, FILE *file)
{
    (void)fputs("## What the stores promise\n\n"
                "In the modes that are measured, durable sets aside.\n\n"
                "| | version | survives kill -9 | survives a power cut | may "
                "write at the same time |\n"
                "| --- | --- | --- | --- | --- |\n",
                file);
    for (size_t i = 0; i < plan->store_count; i++) {
        const struct bench_store *store = plan->stores[i];
        if (!store->is_floor) {
            (void)fprintf(file,
                          "| %s | %s | %s | %s | %s |\n",
                          store->name,
                          store->version != NULL ? store->version() : "-",
                          store->survives_kill,
                          store->survives_power_cut,
                          store->writers);
        }
    }
    (void)fputc('\n', file);
}

static void print_failures(const struct bench_plan *plan, FILE *file)
{
    bool is_first = true;
    for (size_t i = 0; i < plan->case_count * plan->store_count; i++) {
        if (!plan->cells[i].has_failed) {
            continue;
        }
        const struct bench_case *each = &plan->cases[i / plan->store_count];
        char keys[32];
        bench_report_count(each->keys, keys, sizeof keys);
        (void)fprintf(file,
                      "%s- %s, %s keys, %s: %s\n",
                      is_first ? "## Failed\n\n" : "",
                      each->workload->name,
                      keys,
                      plan->stores[i % plan->store_count]->name,
                      plan->cells[i].note);
        is_first = false;
    }
}

void bench_report_tables(const struct bench_plan *plan,
                         const struct bench_machine *machine,
                         FILE *file)
{
    char keys[32];
    bench_report_count(plan->options.keys, keys, sizeof keys);
    (void)fprintf(file,
                  "%s: %s keys of %d bytes, values of %d bytes, rounds: %u, "
                  "%.0f s. %ld cores, %s, %ld MiB, %s, %s.\n\n",
                  machine->date,
                  keys,
                  BENCH_KEY_SIZE,
                  BENCH_VALUE_SIZE,
                  plan->options.rounds,
                  plan->seconds,
                  machine->processors,
                  machine->processor,
                  machine->memory_mib,
                  machine->file_system,
                  machine->kernel);
    print_summary(plan, file);
    print_groups(plan, file);
    print_promises(plan, file);
    print_failures(plan, file);
}
