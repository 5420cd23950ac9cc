/* SPDX-License-Identifier: MIT */

/* cut_power IMAGE TYPE OPTIONS DIR CUTS SEED [FAULT]: mounts a file system from
 * an image with a mount's options, on an empty directory; has processes write
 * to two stores there, and cuts the power: again and again. After each cut it
 * compares the stores with what was acknowledged, and goes on with the same
 * file system. The status is 0 if nothing was lost. With a planted fault it
 * ends where that is found, with status 2; status 0 says that it was not. Who
 * does what follows from the seed, which of them is faster does not. */

#include "history.h"
#include "power_crew.h"
#include "register_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define TIMES_MS 40     /* A cut at a time is within this. */
#define LONGEST_MS 1000 /* Any other comes at the latest then. */
#define FOUND 2

static const char *const fault_names[POWER_FAULTS] = {
    [POWER_NO_FAULT] = "none",
    [POWER_OPENS_UNSYNCED] = "opens-unsynced",
    [POWER_SYNCS_NOTHING] = "syncs-nothing",
    [POWER_FORGETS_SYNC] = "forgets-sync",
    [POWER_COMPACTS_UNSYNCED] = "compacts-unsynced",
    [POWER_BATCHES_IN_PIECES] = "batches-in-pieces",
};

static const char *const moment_names[POWER_MOMENTS] = {
    [POWER_AT_A_TIME] = "at a time",
    [POWER_AFTER_AN_ANSWER] = "after an answer",
    [POWER_BEFORE_A_WRITE] = "before a write",
    [POWER_AFTER_A_WRITE] = "after a write",
    [POWER_BEFORE_A_SYNC] = "before a sync",
    [POWER_AFTER_A_SYNC] = "after a sync",
    [POWER_BEFORE_A_NAME] = "before a rename",
    [POWER_AFTER_A_NAME] = "after a rename",
    [POWER_AT_A_STEP] = "at a step",
};

/* Of so many of these moments one is the last. */
static const uint64_t moments_at_most[POWER_MOMENTS] = {
    [POWER_AT_A_TIME] = 1,
    [POWER_AFTER_AN_ANSWER] = 80,
    [POWER_BEFORE_A_WRITE] = 100,
    [POWER_AFTER_A_WRITE] = 100,
    [POWER_BEFORE_A_SYNC] = 100,
    [POWER_AFTER_A_SYNC] = 100,
    [POWER_BEFORE_A_NAME] = 6,
    [POWER_AFTER_A_NAME] = 6,
    [POWER_AT_A_STEP] = 1000,
};

/* True if a process has died by itself. */
static bool has_lost_one(void)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

/* Waits for the cut, and makes it if it is due. */
static void await_cut(const struct power_plan *plan, uint64_t wait_ns)
{
    static const struct timespec moment = {.tv_nsec = 300000};
    struct power_board *board = plan->board;
    uint64_t until_ns = history_now_ns() + wait_ns;
    while (!board->is_cut && board->ledger.violations == 0) {
        if (has_lost_one() && !board->is_cut) {
            power_ledger_complain(&board->ledger,
                                  "a process has died before the cut");
        }
        if (history_now_ns() >= until_ns) {
            power_crew_cut(plan, POWER_AT_A_TIME);
        }
        (void)nanosleep(&moment, NULL);
    }
    power_crew_cut(plan, POWER_AT_A_TIME);
}

/* From one mount to the next one: what has survived is checked, then others
 * write until the power is cut. */
static void run_once(struct power_plan *plan, uint64_t *random_state)
{
    struct power_board *board = plan->board;
    pid_t pids[POWER_PROCESSES];
    board->is_cut = false;
    power_disk_mount(&plan->disk);
    power_crew_check(plan, random_state);
    if (board->ledger.violations == 0) {
        board->moment = (enum power_moment)register_random_below(random_state,
                                                                 POWER_MOMENTS);
        board->countdown =
            1 + (int64_t)register_random_below(random_state,
                                               moments_at_most[board->moment]);
        plan->seed = *random_state >> 8;
        uint64_t wait_ms = register_random_below(random_state, TIMES_MS);
        power_crew_start(plan, pids);
        await_cut(plan,
                  NS_PER_MS * (board->moment == POWER_AT_A_TIME ? wait_ms
                                                                : LONGEST_MS));
        power_crew_kill(plan, pids);
    }
    power_disk_unmount(&plan->disk);
}

static void print_figures(const struct power_board *board, const char *type)
{
    uint64_t cuts = 0;
    uint64_t acknowledged = 0;
    for (int i = 0; i < POWER_MOMENTS; i++) {
        cuts += board->cuts[i];
    }
    for (int i = 0; i < POWER_CLIENTS; i++) {
        acknowledged += board->ledger.clients[i].acknowledged;
    }
    (void)printf("%s: %llu cuts, %llu acknowledged changes, %llu compactions, "
                 "%llu growths, %llu changes in flight of which %llu were "
                 "there, %llu keys compared, %llu violations\n",
                 type,
                 (unsigned long long)cuts,
                 (unsigned long long)acknowledged,
                 (unsigned long long)board->compactions,
                 (unsigned long long)board->growths,
                 (unsigned long long)(board->ledger.in_flight_kept +
                                      board->ledger.in_flight_lost),
                 (unsigned long long)board->ledger.in_flight_kept,
                 (unsigned long long)board->ledger.reads,
                 (unsigned long long)board->ledger.violations);
    for (int i = 0; i < POWER_MOMENTS; i++) {
        (void)printf("%s %s %llu",
                     i == 0 ? " " : ",",
                     moment_names[i],
                     (unsigned long long)board->cuts[i]);
    }
    (void)printf("\n");
}

static enum power_fault fault_by_name(const char *name)
{
    int i = 0;
    while (i < POWER_FAULTS && strcmp(fault_names[i], name) != 0) {
        i++;
    }
    if (i == POWER_FAULTS) {
        (void)fprintf(stderr, "there is no fault %s\n", name);
        exit(EXIT_FAILURE);
    }
    return (enum power_fault)i;
}

int main(int argc, char **argv)
{
    char paths[POWER_STORES][SCRATCH_PATH_SIZE];
    if (argc < 7) {
        (void)fprintf(stderr,
                      "cut_power IMAGE TYPE OPTIONS DIR CUTS SEED [FAULT]\n");
        return EXIT_FAILURE;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct power_plan plan = {
        .disk = {.image = argv[1],
                 .type = argv[2],
                 .options = argv[3],
                 .place = argv[4],
                 .root_fd = -1},
        .paths = {paths[0], paths[1]},
        .board = history_shared_memory(sizeof *plan.board),
        .fault = fault_by_name(argc > 7 ? argv[7] : "none")};
    unsigned long cuts = strtoul(argv[5], NULL, 10);
    uint64_t random_state =
        (strtoull(argv[6], NULL, 10) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < POWER_STORES; i++) {
        (void)snprintf(paths[i],
                       sizeof paths[i],
                       "%s/%s",
                       plan.disk.place,
                       i == POWER_SHARED ? "shared" : "exclusive");
    }
    power_crew_begin(&plan.board->ledger);
    for (unsigned long i = 0; i < cuts && plan.board->ledger.violations == 0;
         i++) {
        run_once(&plan, &random_state);
    }
    if (plan.board->ledger.violations == 0) {
        plan.board->is_cut = false;
        power_disk_mount(&plan.disk);
        power_crew_check(&plan, &random_state);
        power_disk_unmount(&plan.disk);
    }
    print_figures(plan.board, plan.disk.type);
    bool is_lost = plan.board->ledger.violations > 0;
    (void)munmap(plan.board, sizeof *plan.board);
    return !is_lost                       ? EXIT_SUCCESS
           : plan.fault == POWER_NO_FAULT ? EXIT_FAILURE
                                          : FOUND;
}
