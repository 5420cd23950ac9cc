/* SPDX-License-Identifier: MIT */

/* What is measured and what came out of it. */

#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_OF_WORKLOADS(name) \
    extern const struct bench_workload *const name[];
#include "bench_workloads.inc"
#undef FILE_OF_WORKLOADS

/* Each file's table ends in NULL, as this list does. */
static const struct bench_workload *const *const workload_files[] = {
#define FILE_OF_WORKLOADS(name) name,
#include "bench_workloads.inc"
#undef FILE_OF_WORKLOADS
    NULL};

#define SIZE_COUNT 4

/* --- Stores and workloads by name --- */

const struct bench_workload *bench_workload_at(size_t number)
{
    for (size_t i = 0; workload_files[i] != NULL; i++) {
        size_t count = 0;
        while (workload_files[i][count] != NULL && count < number) {
            count++;
        }
        if (workload_files[i][count] != NULL) {
            return workload_files[i][count];
        }
        number -= count;
    }
    return NULL;
}

static void add_stores(struct bench_plan *plan)
{
    const char *list = plan->options.stores;
    const struct bench_store *store;
    for (size_t i = 0; (store = bench_store_at(i)) != NULL; i++) {
        if (bench_is_listed(list, store->name) ||
            bench_is_listed(list, store->family)) {
            plan->stores[plan->store_count++] = store;
        }
    }
}

/* Adds a case for each size of the workload. */
static void add_cases(struct bench_plan *plan,
                      const struct bench_workload *workload)
{
    uint64_t keys = plan->options.keys;
    uint64_t more = plan->options.is_quick ? 0 : keys * 10;
    const uint64_t sizes[][SIZE_COUNT] = {
        [BENCH_AS_ASKED] = {keys},
        [BENCH_A_FIFTH] = {keys / 5},
        [BENCH_TEN_TIMES] = {more > 0 ? more : keys},
        [BENCH_AND_TEN_TIMES] = {keys, more},
        [BENCH_EACH_SIZE] = {keys / 100, keys / 10, keys, more},
        [BENCH_TO_FIFTY_TIMES] = {keys, more, more * 5}};
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        uint64_t size = sizes[workload->sizes][i];
        if (size > 0) {
            plan->cases[plan->case_count++] =
                (struct bench_case){.workload = workload, .keys = size};
        }
    }
}

static void add_workloads(struct bench_plan *plan)
{
    const struct bench_workload *workload;
    for (size_t i = 0; (workload = bench_workload_at(i)) != NULL; i++) {
        bool is_left_out = workload->is_on_request &&
                           plan->options.workloads == NULL &&
                           !plan->options.is_quick;
        if (!is_left_out &&
            bench_is_listed(plan->options.workloads, workload->name)) {
            add_cases(plan, workload);
        }
    }
}

static bool is_name(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && memcmp(name, text, size) == 0;
}

static bool is_store(const char *text, size_t size)
{
    const struct bench_store *store;
    for (size_t i = 0; (store = bench_store_at(i)) != NULL; i++) {
        if (is_name(store->name, text, size) ||
            is_name(store->family, text, size)) {
            return true;
        }
    }
    return false;
}

static bool is_workload(const char *text, size_t size)
{
    const struct bench_workload *workload;
    for (size_t i = 0; (workload = bench_workload_at(i)) != NULL; i++) {
        if (is_name(workload->name, text, size)) {
            return true;
        }
    }
    return false;
}

/* True if every name of a list is one of these. */
static bool are_known(const char *list,
                      bool (*is_known)(const char *text, size_t size))
{
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ",");
        if (!is_known(list, length)) {
            (void)fprintf(stderr,
                          "kvstore_bench: '%.*s' is not built in; --help "
                          "lists what is\n",
                          (int)length,
                          list);
            return false;
        }
        list += length + (list[length] == ',');
    }
    return true;
}

bool bench_plan_init(struct bench_plan *plan,
                     const struct bench_options *options)
{
    *plan = (struct bench_plan){.options = *options};
    if (!are_known(options->stores, is_store) ||
        !are_known(options->workloads, is_workload)) {
        return false;
    }
    /* One more than needed, so that none is empty. */
    size_t stores = 1;
    while (bench_store_at(stores - 1) != NULL) {
        stores++;
    }
    size_t cases = SIZE_COUNT;
    while (bench_workload_at(cases / SIZE_COUNT - 1) != NULL) {
        cases += SIZE_COUNT;
    }
    plan->stores = calloc(stores, sizeof(const struct bench_store *));
    plan->cases = calloc(cases, sizeof *plan->cases);
    plan->cells = calloc(stores * cases, sizeof *plan->cells);
    if (plan->stores == NULL || plan->cases == NULL || plan->cells == NULL) {
        (void)fputs("kvstore_bench: out of memory\n", stderr);
        bench_plan_release(plan);
        return false;
    }
    add_stores(plan);
    add_workloads(plan);
    return true;
}

void bench_plan_release(struct bench_plan *plan)
{
    free(plan->stores);
    free(plan->cases);
    free(plan->cells);
    *plan = (struct bench_plan){.store_count = 0};
}

/* --- Results --- */

struct bench_cell *bench_plan_cell(const struct bench_plan *plan,
                                   size_t case_number,
                                   size_t store_number)
{
    return &plan->cells[case_number * plan->store_count + store_number];
}

bool bench_plan_is_possible(const struct bench_workload *workload,
                            const struct bench_store *store)
{
    return (workload->is_possible == NULL || workload->is_possible(store)) &&
           (!workload->needs_threads || store->has_threads);
}

struct bench_figure bench_plan_figure(const struct bench_plan *plan,
                                      size_t case_number,
                                      size_t store_number,
                                      size_t metric)
{
    const struct bench_cell *cell =
        bench_plan_cell(plan, case_number, store_number);
    unsigned count = cell->counts[metric];
    if (count == 0) {
        return (struct bench_figure){.is_there = false};
    }
    double values[BENCH_ROUND_COUNT_MAX];
    memcpy(values, cell->values[metric], count * sizeof values[0]);
    double median = bench_median(values, count);
    return (struct bench_figure){.is_there = true,
                                 .median = median,
                                 .min = values[0],
                                 .max = values[count - 1]};
}

static bool is_among(const struct bench_store *store, enum bench_class among)
{
    bool is_peer = !store->is_ours && !store->is_floor;
    switch (among) {
    case BENCH_OURS:
        return store->is_ours;
    case BENCH_OURS_SHARING:
        return store->is_ours && store->shares_writing;
    case BENCH_PEERS:
        return is_peer;
    case BENCH_PEERS_SHARING:
        return is_peer && store->shares_writing;
    case BENCH_FLOOR:
        return store->is_floor;
    }
    return false;
}

bool bench_plan_best(const struct bench_plan *plan,
                     size_t case_number,
                     size_t metric,
                     enum bench_class among,
                     size_t *store_out)
{
    const struct bench_workload *workload = plan->cases[case_number].workload;
    bool is_better_if_less = workload->metrics[metric].is_better_if_less;
    bool is_found = false;
    double best = 0;
    for (size_t i = 0; i < plan->store_count; i++) {
        struct bench_figure figure =
            bench_plan_figure(plan, case_number, i, metric);
        if (!figure.is_there || !is_among(plan->stores[i], among)) {
            continue;
        }
        bool is_better =
            is_better_if_less ? figure.median < best : figure.median > best;
        if (!is_found || is_better) {
            is_found = true;
            best = figure.median;
            *store_out = i;
        }
    }
    return is_found;
}
