/* SPDX-License-Identifier: MIT */

/* The figures as JSON: one object with the machine, the options, the stores,
 * the workloads, and a flat list of results that jq can filter. */

#include "report.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

static void add_machine(cJSON *root, const struct bench_machine *machine)
{
    cJSON *object = cJSON_AddObjectToObject(root, "machine");
    (void)cJSON_AddNumberToObject(
        object, "processors", (double)machine->processors);
    (void)cJSON_AddStringToObject(object, "processor", machine->processor);
    (void)cJSON_AddNumberToObject(
        object, "memory_mib", (double)machine->memory_mib);
    (void)cJSON_AddStringToObject(object, "kernel", machine->kernel);
    (void)cJSON_AddStringToObject(object, "file_system", machine->file_system);
}

static void add_options(cJSON *root, const struct bench_plan *plan)
{
    cJSON *object = cJSON_AddObjectToObject(root, "options");
    (void)cJSON_AddNumberToObject(object, "keys", (double)plan->options.keys);
    (void)cJSON_AddNumberToObject(object, "key_size", BENCH_KEY_SIZE);
    (void)cJSON_AddNumberToObject(object, "value_size", BENCH_VALUE_SIZE);
    (void)cJSON_AddNumberToObject(object, "rounds", plan->options.rounds);
    (void)cJSON_AddBoolToObject(object, "quick", plan->options.is_quick);
}

static void add_stores(cJSON *root, const struct bench_plan *plan)
{
    cJSON *array = cJSON_AddArrayToObject(root, "stores");
    for (size_t i = 0; i < plan->store_count; i++) {
        const struct bench_store *store = plan->stores[i];
        cJSON *object = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(object, "name", store->name);
        (void)cJSON_AddStringToObject(
            object, "version", store->version != NULL ? store->version() : "");
        (void)cJSON_AddBoolToObject(object, "is_floor", store->is_floor);
        (void)cJSON_AddBoolToObject(
            object, "shares_writing", store->shares_writing);
        (void)cJSON_AddStringToObject(
            object, "survives_kill", store->survives_kill);
        (void)cJSON_AddStringToObject(
            object, "survives_power_cut", store->survives_power_cut);
        (void)cJSON_AddStringToObject(object, "writers", store->writers);
        (void)cJSON_AddItemToArray(array, object);
    }
}

static void add_workloads(cJSON *root, const struct bench_plan *plan)
{
    cJSON *array = cJSON_AddArrayToObject(root, "workloads");
    for (size_t i = 0; i < plan->case_count; i++) {
        const struct bench_workload *workload = plan->cases[i].workload;
        if (i > 0 && workload == plan->cases[i - 1].workload) {
            continue;
        }
        cJSON *object = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(object, "name", workload->name);
        (void)cJSON_AddStringToObject(object, "group", workload->group);
        (void)cJSON_AddStringToObject(object, "what", workload->what);
        (void)cJSON_AddItemToArray(array, object);
    }
}

static cJSON *begin_result(const struct bench_plan *plan,
                           size_t case_number,
                           size_t store_number)
{
    cJSON *object = cJSON_CreateObject();
    const struct bench_case *each = &plan->cases[case_number];
    (void)cJSON_AddStringToObject(object, "workload", each->workload->name);
    (void)cJSON_AddStringToObject(
        object, "store", plan->stores[store_number]->name);
    (void)cJSON_AddNumberToObject(object, "keys", (double)each->keys);
    return object;
}

static void add_figure(cJSON *array,
                       const struct bench_plan *plan,
                       size_t case_number,
                       size_t store_number,
                       size_t number)
{
    struct bench_figure figure =
        bench_plan_figure(plan, case_number, store_number, number);
    if (!figure.is_there) {
        return;
    }
    const struct bench_metric *metric =
        &plan->cases[case_number].workload->metrics[number];
    const struct bench_cell *cell =
        bench_plan_cell(plan, case_number, store_number);
    cJSON *object = begin_result(plan, case_number, store_number);
    (void)cJSON_AddStringToObject(object, "metric", metric->name);
    if (metric->row != NULL && metric->row[0] != '\0') {
        (void)cJSON_AddStringToObject(object, "row", metric->row);
        (void)cJSON_AddStringToObject(object, "column", metric->title);
    }
    (void)cJSON_AddStringToObject(object, "unit", metric->unit);
    (void)cJSON_AddStringToObject(
        object, "better", metric->is_better_if_less ? "less" : "more");
    (void)cJSON_AddNumberToObject(object, "median", figure.median);
    (void)cJSON_AddNumberToObject(object, "min", figure.min);
    (void)cJSON_AddNumberToObject(object, "max", figure.max);
    (void)cJSON_AddItemToObject(
        object,
        "rounds",
        cJSON_CreateDoubleArray(cell->values[number],
                                (int)cell->counts[number]));
    (void)cJSON_AddItemToArray(array, object);
}

static void add_results(cJSON *root, const struct bench_plan *plan)
{
    cJSON *results = cJSON_AddArrayToObject(root, "results");
    for (size_t i = 0; i < plan->case_count * plan->store_count; i++) {
        size_t each = i / plan->store_count;
        const struct bench_metric *metrics =
            plan->cases[each].workload->metrics;
        for (size_t j = 0; metrics[j].name != NULL; j++) {
            add_figure(results, plan, each, i % plan->store_count, j);
        }
    }
}

/* Adds why some figures are not among the results. */
static void add_reasons(cJSON *root, const struct bench_plan *plan)
{
    cJSON *failures = cJSON_AddArrayToObject(root, "failures");
    cJSON *absent = cJSON_AddArrayToObject(root, "not_offered");
    for (size_t i = 0; i < plan->case_count * plan->store_count; i++) {
        size_t each = i / plan->store_count;
        size_t store = i % plan->store_count;
        const struct bench_cell *cell = bench_plan_cell(plan, each, store);
        if (!bench_plan_is_possible(plan->cases[each].workload,
                                    plan->stores[store])) {
            (void)cJSON_AddItemToArray(absent, begin_result(plan, each, store));
        } else if (cell->has_failed) {
            cJSON *failure = begin_result(plan, each, store);
            (void)cJSON_AddStringToObject(failure, "reason", cell->note);
            (void)cJSON_AddItemToArray(failures, failure);
        }
    }
}

bool bench_report_json(const struct bench_plan *plan,
                       const struct bench_machine *machine,
                       const char *path)
{
    cJSON *root = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(root, "date", machine->date);
    (void)cJSON_AddNumberToObject(root, "seconds", plan->seconds);
    add_machine(root, machine);
    add_options(root, plan);
    add_stores(root, plan);
    add_workloads(root, plan);
    add_results(root, plan);
    add_reasons(root, plan);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    FILE *file = text != NULL ? fopen(path, "w") : NULL;
    bool is_written =
        file != NULL && fputs(text, file) >= 0 && fputc('\n', file) != EOF;
    if (file != NULL && fclose(file) != 0) {
        is_written = false;
    }
    cJSON_free(text);
    if (!is_written) {
        (void)fprintf(stderr,
                      "kvstore_bench: cannot write '%s': %s\n",
                      path,
                      strerror(errno));
    }
    return is_written;
}
