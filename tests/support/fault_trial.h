/* SPDX-License-Identifier: MIT */

/* A workload with one fault in it, or two, and the judgement on how the store
 * took them. */

#ifndef FAULT_TRIAL_H
#define FAULT_TRIAL_H

#include "fault_table.h"
#include "kvstore.h"
#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIAL_KEYS_MAX 20
#define TRIAL_VALUES_MAX 16
#define TRIAL_VALUE_SIZE 4096

/* What a key may hold. */
struct trial_value {
    const char *text; /* NULL: none. */
    int64_t expires_ms;
};

/* What a key may hold: one of these values. */
struct trial_key {
    const char *key;
    struct trial_value values[TRIAL_VALUES_MAX];
    size_t value_count;
    const char *late; /* What a writer that died has left: the key may begin to
                         hold this at any time, and must in the end, unless a
                         sync of it has failed. */
};

/* One change of a batch. */
struct trial_change {
    const char *key;
    const char *value; /* NULL: the key is removed. */
};

/* Which calls fail. */
struct trial_plan {
    const struct fault_kind *kind; /* NULL: none. */
    uint64_t n;
    bool is_for_good;
    const struct fault_kind *second; /* NULL: the first is the only one. */
    uint64_t second_n;
};

struct trial {
    const struct trial_workload *workload;
    struct trial_plan plan;
    char path[SCRATCH_PATH_SIZE + 32]; /* Of the store. */
    kvstore *store;
    struct trial_key keys[TRIAL_KEYS_MAX];
    size_t key_count;
    char *log; /* As it was when the first fault became possible. */
    size_t log_size;
    const struct trial_change *batch; /* These changes are made together. */
    size_t batch_count;
    bool is_sync_lost; /* An fdatasync of the open handle has failed, */
    bool may_refuse;   /* or one that may have been of another file. */
    bool may_lack_late;
    uint64_t syncs_fired;
    kvstore_watcher *watcher;
    bool has_backup;
    struct trial_key backup[TRIAL_KEYS_MAX]; /* What it may hold. */
    size_t backup_count;
    unsigned complaints;
};

struct trial_workload {
    const char *name;
    void (*prepare)(struct trial *trial); /* Without faults. */
    void (*act)(struct trial *trial);     /* With faults, from arm() on. */
    size_t kept_size; /* This many first bytes of the log stay; SIZE_MAX:
                         all. */
    unsigned marks;
};

enum {
    TRIAL_LEAVES_CUTS = 1,    /* store.log.cut-* may be left. */
    TRIAL_TAKES_NO_WRITE = 2, /* The store has a record of a newer version. */
    TRIAL_HAS_LEFTOVER = 4,   /* store.log.compact is there to begin with. */
    TRIAL_OPENS_AGAIN = 8     /* A read finds other files. */
};

/* Of the runs of a workload. */
struct trial_figures {
    uint64_t faults; /* That were met. */
    uint64_t pairs;  /* Of these, the runs in which two were met. */
    unsigned complaints;
};

/* Runs a workload with each kind of fault, at the first call, the second, and
 * so on until none is met, once and from there on. Adds to the figures. part: 0
 * takes all of that; another number the common kinds, once, and one of
 * TRIAL_PARTS of the rest, by the number. */
#define TRIAL_PARTS 8u
void trial_run_all(const struct trial_workload *workload,
                   const struct fault_kind *kinds,
                   size_t kind_count,
                   size_t part,
                   struct trial_figures *figures);

/* Runs a workload with each pair of faults: the first at the first call, the
 * second at each later one, and so on. */
void trial_run_pairs(const struct trial_workload *workload,
                     const struct fault_kind *first,
                     const struct fault_kind *second,
                     struct trial_figures *figures);

/* Runs a workload without a fault. Returns how many calls there were from arm()
 * on to which a kind applies, and adds to the figures. */
uint64_t trial_run_plainly(const struct trial_workload *workload,
                           const struct fault_kind *kind,
                           struct trial_figures *figures);

/* Calls back when the fault may come, with true, and when the workload is over.
 * NULL: nobody. */
typedef void (*trial_mark)(const struct trial_workload *workload, bool begins);
void trial_call_at_marks(trial_mark mark);

/* For prepare(): the log's text. */
void trial_log(struct trial *trial, const char *text);

/* For act(): time passes, enough for a handle to look at the names again. */
void trial_wait(void);

/* For act(): the fault may come from here on. */
void trial_arm(struct trial *trial);

#endif
