/* SPDX-License-Identifier: MIT */

/* A table of system calls for a process that dies, or stops, exactly at one of
 * them, and a board in shared memory on which it reports how far it got. Time
 * passes only in a sleep, and a little with each look at the clock: the
 * library's waits are exact, and cost nothing. Knows calls, not stores. */

#ifndef KILL_TABLE_H
#define KILL_TABLE_H

#include "os/file.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kill_moment {
    KILL_BEFORE,         /* The call is not made. */
    KILL_AFTER,          /* It is, and nothing after it. */
    KILL_HALF_WRITTEN,   /* pwrite: half the bytes are there. */
    KILL_NEWLINE_MISSING /* pwrite: all but the last one are. */
};

/* When to die: at the n-th of the calls of that name, or of all. Steps between
 * stores in shared memory count as calls, by their own names; allocations and
 * clocks do not count. */
struct kill_plan {
    const char *call; /* NULL: any. */
    uint64_t n;       /* From 1; 0: never. */
    enum kill_moment moment;
    int signal;           /* SIGKILL or SIGSTOP. */
    bool is_sync_failing; /* fdatasync fails, and does nothing. */
    bool is_write_lost;   /* pwrite does nothing, and reports success. */
};

/* What a compactor may do wrong that must be found out. */
enum kill_foul {
    KILL_FAIR,
    KILL_DROPS_REMOVES, /* It writes no removes to the new log, */
    KILL_DROPS_ROUNDS,  /* or only what it has copied first. */
    KILL_TAKES_NO_LOCK
};

/* Shared by all processes of a test. */
struct kill_board {
    _Atomic int64_t now_ns;
    _Atomic uint64_t calls;
    _Atomic uint64_t renames;
    _Atomic bool is_acknowledged;
    _Atomic bool skips_long_sleeps; /* These do not advance the clock. */
    _Atomic int child_pid;          /* For tests that need to know one. */
    _Atomic bool may_pause;        /* The process stops before each call that it
                                      makes while it has no lock on a
                                      directory, */
    _Atomic bool pauses_with_lock; /* or has one. */
    _Atomic bool has_lock;         /* It does. */
    _Atomic bool has_copied;       /* It has synced the new log once. */
    _Atomic int foul;              /* An enum kill_foul, for a process that may
                                      pause. */
    char last_call[16];
};

/* Maps the board, for this process and those that it forks; unmaps it. */
struct kill_board *kill_board_map(void);
void kill_board_unmap(void);

/* Puts in place the system's own calls with the clock of the board. */
void kill_table_install_clock(void);

/* The same, with death as planned: for a process that was just forked. */
void kill_table_install_plan(const struct kill_plan *plan);

#endif
