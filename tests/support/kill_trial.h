/* SPDX-License-Identifier: MIT */

/* One process that dies at one step of one operation, and the judgement of
 * those who had the store open all along and of those who come afterwards: is
 * everything there that was acknowledged, at once, for everybody? What may be
 * there is kept in an oracle. */

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

/* A key, what it holds, and what it may hold instead since somebody died who
 * was about to change it. Nothing is an empty text: no value here is empty. */
struct kill_key {
    char key[KILL_TEXT_SIZE];
    char value[KILL_TEXT_SIZE];
    bool may_change;
    char next[KILL_TEXT_SIZE];
    bool is_next_told; /* A read-only handle has told the next value, which
                          others see as soon as anybody may write it down. */
};

struct kill_trial;

/* In the child: the store that it works on, and what it opened. */
struct kill_child {
    const char *path;
    int sync;
    kvstore *store;
    struct kill_board *board;
    const char *key; /* What a writer sets that is to die. */
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
    /* What the operation changes: the value of a key, and nothing where it is
     * NULL. An empty text removes it. */
    const char *key;
    const char *value;
    uint64_t renames;     /* As many at least, or the case is not met. */
    bool is_absent;       /* There is no store to begin with. */
    bool leaves_cuts;     /* store.log.cut-* may stay behind. */
    bool may_be_damaged;  /* There is a damaged line, or is no more. */
    bool is_prompt;       /* Nobody waits for anything afterwards. */
    bool is_unsigned;     /* Nobody can be told who is at it. */
    bool may_refuse;      /* Writes may be refused until a compaction. */
    bool is_sync_failing; /* In the child. */
    bool is_write_lost;   /* The same: writes do nothing. */
    /* Another child that runs and dies before, where not NULL. */
    void (*first_run)(struct kill_child *child);
    struct kill_plan first_plan;
    const char *first_key;
    const char *first_value;
};

struct kill_trial {
    const struct kill_operation *operation;
    struct kill_board *board;
    struct kill_plan plan;
    const char *order; /* Who looks and writes when: kill_witness.h. */
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
    const char *script; /* What others do at them: kill_beside.h. */
    unsigned pause;     /* At which all of it is done; 0: at each pause
                                the next letter. */
    unsigned beside_serial;
    const char *lost_key; /* What a writer sets that dies. */
    const char *lost_value;
    bool is_refused;         /* Writes are, at the moment. */
    int64_t longest_wait_ns; /* Of a call, at the moment. */
    bool is_completed;
    unsigned complaints;
};

/* Makes and removes what trials use, which is one at a time. */
void kill_trial_set_up(struct kill_trial *trial);
void kill_trial_tear_down(struct kill_trial *trial);

/* Runs an operation with death as planned, and judges. False: the child lived
 * to the end. The plan's signal may be SIGSTOP: then others are to be told that
 * the store is busy, and by whom, as long as the child has the lock. */
bool kill_trial_run(struct kill_trial *trial,
                    const struct kill_operation *operation,
                    const struct kill_plan *plan,
                    const char *order);

/* While the child pauses without the lock: another one sets a key, and dies where its plan says,
 * before it has acknowledged that. */
void kill_trial_lose_writer(struct kill_trial *trial,
                            const struct kill_plan *plan,
                            const char *key,
                            const char *value);

/* For operations: what is there from now on, or may be. */
void kill_trial_expect(struct kill_trial *trial,
                       const char *key,
                       const char *value);
void kill_trial_may_become(struct kill_trial *trial,
                           const char *key,
                           const char *value);

/* Keys enough that the next new one makes the smallest index grow. */
void kill_trial_fill_index(struct kill_trial *trial);
void kill_trial_append(struct kill_trial *trial, const char *bytes);
void kill_trial_delete_index(struct kill_trial *trial);

/* For the child. What fails ends it, and the trial complains. NULL: defaults
 * with the child's sync. */
void kill_child_open(struct kill_child *child, const kvstore_options *options);
void kill_child_must(kvstore_status status);
void kill_child_set(struct kill_child *child,
                    const char *key,
                    const char *value);

void kill_trial_complain(struct kill_trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
