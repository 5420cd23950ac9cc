/* SPDX-License-Identifier: MIT */

/* All cells of a plan, round by round: within a round each workload runs on
 * each store in turn, so that what disturbs the machine for a while disturbs
 * all of them. Stores that are filled stay on the disk for the round. */

#include "rounds.h"

#include "cell.h"
#include "directory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is in a store's directory. */
enum filling { NOT_FILLED, FILLED, NOT_TO_BE_FILLED };

struct rounds {
    struct bench_plan *plan;
    char root[PATH_MAX];
    char scratch[PATH_MAX + 100];
    enum filling *fillings; /* By store. */
    double begin;
    double deadline;
    unsigned round;
};

/* --- Progress, on a terminal --- */

static bool is_due(const struct rounds *rounds,
                   size_t case_number,
                   size_t store_number,
                   unsigned round)
{
    const struct bench_plan *plan = rounds->plan;
    const struct bench_workload *workload = plan->cases[case_number].workload;
    return bench_plan_is_possible(workload, plan->stores[store_number]) &&
           (round == 0 || !workload->is_run_once);
}

/* How long the cells of a round will take, beginning at one of them: as long as
 * in the round before, or as long as the others on average. */
static double time_of_cells(const struct rounds *rounds,
                            size_t first_cell,
                            unsigned round,
                            size_t *count_out)
{
    const struct bench_plan *plan = rounds->plan;
    size_t cell_count = plan->case_count * plan->store_count;
    double known = 0;
    size_t known_count = 0;
    for (size_t i = 0; i < cell_count; i++) {
        known += plan->cells[i].seconds;
        known_count += plan->cells[i].seconds > 0;
    }
    double average = known_count > 0 ? known / (double)known_count : 0;
    double seconds = 0;
    for (size_t i = first_cell; i < cell_count; i++) {
        if (is_due(
                rounds, i / plan->store_count, i % plan->store_count, round)) {
            double last = plan->cells[i].seconds;
            seconds += last > 0 ? last : average;
            *count_out += 1;
        }
    }
    return seconds;
}

static void show_progress(const struct rounds *rounds,
                          size_t case_number,
                          size_t store_number)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    const struct bench_plan *plan = rounds->plan;
    size_t cell = case_number * plan->store_count + store_number;
    size_t left = 0;
    size_t all = 0;
    double seconds = time_of_cells(rounds, cell, rounds->round, &left);
    for (unsigned i = 0; i < plan->options.rounds; i++) {
        double whole = time_of_cells(rounds, 0, i, &all);
        if (i > rounds->round) {
            seconds += whole;
            (void)time_of_cells(rounds, 0, i, &left);
        }
    }
    double until_deadline = rounds->deadline - bench_now();
    seconds = seconds < until_deadline ? seconds : until_deadline;
    (void)fprintf(stderr,
                  "\r\033[K%zu/%zu, %d:%02d left: %s, %s",
                  all - left,
                  all,
                  (int)seconds / 60,
                  (int)seconds % 60,
                  plan->cases[case_number].workload->name,
                  plan->stores[store_number]->name);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO)) {
        (void)fputs("\r\033[K", stderr);
    }
}

/* --- Cells --- */

static struct bench_run make_run(const struct rounds *rounds,
                                 size_t case_number,
                                 size_t store_number,
                                 const char *dir)
{
    const struct bench_plan *plan = rounds->plan;
    const struct bench_store *store = plan->stores[store_number];
    const struct bench_workload *workload = plan->cases[case_number].workload;
    bool is_quick = plan->options.is_quick;
    /* Large stores have as much more time to be prepared. */
    uint64_t tens_of_millions = plan->cases[case_number].keys / 10000000;
    double size = tens_of_millions > 1 ? (double)tens_of_millions : 1;
    return (struct bench_run){
        .store = store,
        .settings = {.dir = dir,
                     .keys = plan->cases[case_number].keys,
                     .variant = store->variant},
        .seconds = is_quick ? 0.1 : 0.5,
        .fill_seconds = is_quick ? 1 : 5,
        .prepare_seconds =
            (is_quick ? 3 : 45) * (workload->is_long ? 5 : 1) * size,
        .pairs = is_quick ? 20 : 200,
        .seed = bench_scramble(rounds->round + 1),
        .scratch_dir = rounds->scratch};
}

static bool make_directory(const char *dir, struct bench_cell *cell)
{
    if (bench_directory_make(dir)) {
        return true;
    }
    cell->has_failed = true;
    (void)snprintf(cell->note, sizeof cell->note, "%s", bench_failure());
    bench_forget_failure();
    return false;
}

/* Makes a full store for workloads that begin with one. If it cannot be filled,
 * that is not tried again. */
static bool fill(struct rounds *rounds,
                 size_t case_number,
                 size_t store_number,
                 const char *dir,
                 struct bench_cell *cell)
{
    enum filling *filling = &rounds->fillings[store_number];
    struct bench_run run = make_run(rounds, case_number, store_number, dir);
    if (*filling == NOT_FILLED) {
        bool is_filled = make_directory(dir, cell) &&
                         bench_cell_run(&bench_preparation, &run, cell);
        *filling = is_filled ? FILLED : NOT_TO_BE_FILLED;
    }
    if (*filling != FILLED && !cell->has_failed) {
        cell->has_failed = true;
        (void)snprintf(
            cell->note, sizeof cell->note, "the store could not be filled");
    }
    return *filling == FILLED;
}

static void run_cell(struct rounds *rounds,
                     size_t case_number,
                     size_t store_number)
{
    struct bench_plan *plan = rounds->plan;
    const struct bench_workload *workload = plan->cases[case_number].workload;
    struct bench_cell *cell = bench_plan_cell(plan, case_number, store_number);
    enum filling *filling = &rounds->fillings[store_number];
    enum bench_beginning beginning = workload->beginning;
    char dir[PATH_MAX + 100];
    (void)snprintf(dir,
                   sizeof dir,
                   "%s/%s%s",
                   rounds->root,
                   plan->stores[store_number]->name,
                   beginning == BENCH_EMPTY ? ".new" : "");
    bool needs_full = beginning == BENCH_FILLED || beginning == BENCH_USES_UP;
    if (needs_full ? !fill(rounds, case_number, store_number, dir, cell)
                   : !make_directory(dir, cell)) {
        return;
    }

    struct bench_run run = make_run(rounds, case_number, store_number, dir);
    bool is_done = bench_cell_run(workload, &run, cell);
    if (beginning == BENCH_EMPTY) {
        bench_directory_remove(dir);
        return;
    }
    /* What a failed process has left is not known. */
    *filling = is_done && beginning != BENCH_USES_UP ? FILLED : NOT_FILLED;
    if (*filling == NOT_FILLED) {
        bench_directory_remove(dir);
    }
}

static void run_round(struct rounds *rounds)
{
    struct bench_plan *plan = rounds->plan;
    size_t cell_count = plan->case_count * plan->store_count;
    for (size_t i = 0; i < cell_count && bench_cell_signal() == 0; i++) {
        size_t case_number = i / plan->store_count;
        size_t store_number = i % plan->store_count;
        struct bench_cell *cell = &plan->cells[i];
        if (!is_due(rounds, case_number, store_number, rounds->round)) {
            continue;
        }
        if (bench_now() < rounds->deadline) {
            show_progress(rounds, case_number, store_number);
            run_cell(rounds, case_number, store_number);
        } else if (rounds->round == 0) {
            cell->has_failed = true;
            (void)snprintf(cell->note, sizeof cell->note, "no time was left");
        }
    }
}

int bench_rounds_run(struct bench_plan *plan)
{
    struct rounds rounds = {.plan = plan, .begin = bench_now()};
    rounds.deadline = rounds.begin + (plan->options.is_quick ? 105 : 39 * 60);
    rounds.fillings = calloc(plan->store_count + 1, sizeof *rounds.fillings);
    /* This comes before there is anything to clean up. */
    bench_cell_catch_signals();
    int length = snprintf(rounds.root,
                          sizeof rounds.root,
                          "%s/kvstore-bench-XXXXXX",
                          plan->options.dir);
    if (rounds.fillings == NULL || length >= PATH_MAX ||
        mkdtemp(rounds.root) == NULL) {
        (void)fprintf(stderr,
                      "kvstore_bench: cannot make a directory in '%s': %s\n",
                      plan->options.dir,
                      strerror(errno));
        free(rounds.fillings);
        return 3;
    }
    (void)snprintf(
        rounds.scratch, sizeof rounds.scratch, "%s/scratch", rounds.root);
    (void)bench_directory_make(rounds.scratch);
    for (rounds.round = 0; rounds.round < plan->options.rounds;
         rounds.round++) {
        run_round(&rounds);
    }
    end_progress();
    bench_directory_remove(rounds.root);
    free(rounds.fillings);
    plan->seconds = bench_now() - rounds.begin;
    return bench_cell_signal() != 0 ? 128 + bench_cell_signal() : 0;
}
