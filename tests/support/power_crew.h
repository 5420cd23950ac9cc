/* SPDX-License-Identifier: MIT */

/* Processes that write to two stores on one disk until the power is cut, which
 * they do themselves at a step that was chosen. */

#ifndef POWER_CREW_H
#define POWER_CREW_H

#include "power_disk.h"
#include "power_ledger.h"

#include <sys/types.h>

#define POWER_STORES 2
#define POWER_SHARED 0    /* Of several processes. */
#define POWER_EXCLUSIVE 1 /* Of one. */

enum power_moment {
    POWER_AT_A_TIME,
    POWER_AFTER_AN_ANSWER,
    POWER_BEFORE_A_WRITE,
    POWER_AFTER_A_WRITE,
    POWER_BEFORE_A_SYNC,
    POWER_AFTER_A_SYNC,
    POWER_BEFORE_A_NAME, /* Of a new log or a new index. */
    POWER_AFTER_A_NAME,
    POWER_AT_A_STEP, /* A store to shared memory. */
    POWER_MOMENTS
};

/* Faults that are planted to see that they are found. */
enum power_fault {
    POWER_NO_FAULT,
    POWER_OPENS_UNSYNCED,    /* Durable writers use KVSTORE_SYNC_NONE. */
    POWER_SYNCS_NOTHING,     /* fdatasync() and fsync() do nothing. */
    POWER_FORGETS_SYNC,      /* No kvstore_sync() before it is noted. */
    POWER_COMPACTS_UNSYNCED, /* A compacted log is not synced. */
    POWER_BATCHES_IN_PIECES, /* A batch is a set after the other. */
    POWER_FAULTS
};

/* Seen by all processes. */
struct power_board {
    _Atomic bool is_cut; /* Or about to be: calls may fail. */
    enum power_moment moment;
    _Atomic int64_t countdown; /* Of those moments. */
    _Atomic uint64_t cuts[POWER_MOMENTS];
    _Atomic uint64_t compactions;
    _Atomic uint64_t growths;
    struct power_ledger ledger;
};

struct power_plan {
    struct power_disk disk;
    const char *paths[POWER_STORES];
    struct power_board *board;
    enum power_fault fault;
    uint64_t seed; /* Of what is done until the next cut. */
};

/* Sets up the clients. */
void power_crew_begin(struct power_ledger *ledger);

/* Cuts the power, and notes at which moment. */
void power_crew_cut(const struct power_plan *plan, enum power_moment moment);

#define POWER_PROCESSES 7

void power_crew_start(const struct power_plan *plan,
                      pid_t pids_out[POWER_PROCESSES]);

/* Kills all, and complains of those that had failed before the cut. */
void power_crew_kill(const struct power_plan *plan,
                     const pid_t pids[POWER_PROCESSES]);

/* After a cut: opens the stores and checks them; then sets a key in each, so
 * that all of it is on the disk, or does not. */
void power_crew_check(const struct power_plan *plan, uint64_t *random_state);

#endif
