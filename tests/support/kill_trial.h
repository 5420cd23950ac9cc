/* SPDX-License-Identifier: MIT */

/* One process that dies at one step of one operation, and the judgement by
 * handles that were open all along and by those that are opened afterwards: is
 * everything that was acknowledged there, at once, for each of them? What may
 * be there is kept in an oracle. */

#ifndef KILL_TRIAL_H
#define KILL_TRIAL_H

#include "kill_table.h"
#include "kvstore.h"
#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KILL_KEYS_MAX 128
#define KILL_TEXT_SIZE 24

/* A key, what it holds, and what it may hold instead because a process died
 * that was about to change it. An empty text means nothing: no value here is
 * empty. */
struct kill_key {
    char key[KILL_TEXT_SIZE];
    char value[KILL_TEXT_SIZE];
    bool may_change;
    char next[KILL_TEXT_SIZE];
    struct kill_key *partner; /* Changed by the same batch; or NULL. */
    bool was_unsettled;       /* When the last pass began, */
    bool was_next_seen;       /* and in it. */
    bool is_next_told; /* A read-only handle has returned the next value, which
                          others see once a handle that may write has taken it
                          over. */
};

struct kill_trial;

/* In the child: the store that it works on, and what it opened. */
struct kill_child {
    const char *path;
    int sync;
    kvstore *store;
    struct kill_board *board;
    const char *key; /* What a writer that will die sets. */
    const char *value;
};

struct kill_operation {
    const char *name;
    /* What happens to the store when all have it open. NULL: nothing. */
    void (*disturb)(struct kill_trial *trial);
    void (*run)(struct kill_child *child);
    /* What others do at each of its pauses. NULL: it makes none. */
    void (*beside)(struct kill_trial *trial);
    int sync;
    /* What the operation changes: the value of a key; nothing if key is NULL.
     * An empty text removes it. */
    const char *key;
    const char *value;
    const char *other_key; /* In the same batch; NULL: it makes none. */
    const char *other_value;
    uint64_t renames;     /* With fewer, the case was not met. */
    bool is_absent;       /* There is no store to begin with. */
    bool leaves_cuts;     /* store.log.cut-* may be left. */
    bool may_be_damaged;  /* There is a damaged line, or was one. */
    bool is_prompt;       /* Nothing waits afterwards. */
    bool is_unsigned;     /* The lock's holder cannot be named. */
    bool may_refuse;      /* Writes may be refused until a compaction. */
    bool is_sync_failing; /* In the child. */
    bool is_write_lost;   /* In the child, too: writes do nothing. */
    /* Another child that runs and dies before it; NULL: none. */
    void (*first_run)(struct kill_child *child);
    struct kill_plan first_plan;
    const char *first_key;
    const char *first_value;
};

struct kill_trial {
    const struct kill_operation *operation;
    struct kill_board *board;
    struct kill_plan plan;
    const char *order; /* Who reads and writes when: kill_witness.h. */
    int32_t lock_timeout_ms;
    bool is_quiet;
    char base[SCRATCH_PATH_SIZE];
    char above[SCRATCH_PATH_SIZE + 8];
    char path[SCRATCH_PATH_SIZE + 16];  /* Of the store. */
    char alone[SCRATCH_PATH_SIZE + 16]; /* For the log without its index. */
    kvstore *reader;                    /* Of the process that lives on. */
    kvstore *watcher;                   /* Read-only. */
    kvstore *unsynced;
    kvstore *durable;
    struct kill_key keys[KILL_KEYS_MAX];
    size_t key_count;
    unsigned bulk_count; /* Keys k0, k1, ... that hold "bulk". */
    unsigned serial;
    unsigned pauses;    /* Of the child, so far. */
    const char *script; /* What others do at the pauses: kill_beside.h. */
    unsigned pause;     /* The pause at which all of it is done; 0: the next
                           letter at each pause. */
    unsigned beside_serial;
    const char *lost_key; /* What a writer that dies sets. */
    const char *lost_value;
    bool is_refused;         /* At the moment, writes are. */
    int64_t longest_wait_ns; /* That a call may take, at the moment. */
    bool is_completed;
    unsigned complaints;
};

/* Makes and removes what trials use; there is one at a time. */
void kill_trial_set_up(struct kill_trial *trial);
void kill_trial_tear_down(struct kill_trial *trial);

/* Runs an operation with death as planned, and judges. False: the child lived
 * to the end. The plan's signal may be SIGSTOP: then others must learn that the
 * store is busy, and which process holds it, as long as the child has the
 * lock. */
bool kill_trial_run(struct kill_trial *trial,
                    const struct kill_operation *operation,
                    const struct kill_plan *plan,
                    const char *order);

/* While the child pauses without the lock: another process sets a key, and dies
 * where its plan says, before it has acknowledged that. */
void kill_trial_lose_writer(struct kill_trial *trial,
                            const struct kill_plan *plan,
                            const char *key,
                            const char *value);

/* For operations: say what is there from now on, or may be. */
void kill_trial_expect(struct kill_trial *trial,
                       const char *key,
                       const char *value);
void kill_trial_may_become(struct kill_trial *trial,
                           const char *key,
                           const char *value);

/* Sets so many keys that the next new one makes the smallest index grow. */
void kill_trial_fill_index(struct kill_trial *trial);

/* Appends to the log, and leaves the index as a writer does that died then. */
void kill_trial_append(struct kill_trial *trial, const char *bytes);
void kill_trial_delete_index(struct kill_trial *trial);

/* For the child. A failure ends it, and the trial complains. NULL: defaults
 * with the child's sync. */
void kill_child_open(struct kill_child *child, const kvstore_options *options);
void kill_child_must(kvstore_status status);
void kill_child_set(struct kill_child *child,
                    const char *key,
                    const char *value);

void kill_trial_complain(struct kill_trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
