/* SPDX-License-Identifier: MIT */

/* A workload with one fault in it, and the judgement on how the store took it.
 * The calls here are those of kvstore.h; each is checked as it returns, and
 * what it may have left is kept in an oracle. */

#ifndef FAULT_TRIAL_H
#define FAULT_TRIAL_H

#include "fault_table.h"
#include "kvstore.h"
#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIAL_KEYS_MAX 16
#define TRIAL_VALUES_MAX 8

/* What a key may hold: one of these values, where NULL means none. */
struct trial_key {
    const char *key;
    const char *values[TRIAL_VALUES_MAX];
    size_t value_count;
};

struct trial {
    const struct trial_workload *workload;
    const struct fault_kind *kind;
    uint64_t n;
    bool is_for_good;
    char path[SCRATCH_PATH_SIZE + 16]; /* Of the store. */
    kvstore *store;
    struct trial_key keys[TRIAL_KEYS_MAX];
    size_t key_count;
    char *log; /* As it was when the first fault became possible. */
    size_t log_size;
    bool has_batch;    /* The keys of trial_write() change together. */
    bool is_sync_lost; /* An fdatasync of the open handle has failed. */
    uint64_t syncs_fired;
    unsigned complaints;
};

struct trial_workload {
    const char *name;
    void (*prepare)(struct trial *trial); /* Without faults. */
    void (*act)(struct trial *trial);     /* With faults, from arm() on. */
    size_t kept_size; /* This many first bytes of the log stay; SIZE_MAX:
                         all. */
    bool leaves_cuts; /* store.log.cut-* may be left. */
};

/* Runs a workload with each kind of fault, at the first call, the second, and
 * so on until none is met. Returns how many faults were met, and adds the
 * number of complaints. */
uint64_t trial_run_all(const struct trial_workload *workload,
                       const struct fault_kind *kinds,
                       size_t kind_count,
                       unsigned *complaints);

/* For prepare(). */
void trial_expect(struct trial *trial, const char *key, const char *value);
void trial_log(struct trial *trial, const char *text);

/* For act(): the fault may come from here on. */
void trial_arm(struct trial *trial);

/* For act(): the calls. None is made while no store is open. NULL: defaults. */
bool trial_open(struct trial *trial, const kvstore_options *options);
void trial_set(struct trial *trial, const char *key, const char *value);
void trial_remove(struct trial *trial, const char *key);

/* Adds to a number: with value it has, and the sum. */
void trial_increment(struct trial *trial, const char *key, const char *sum);

/* Writes a batch, on a condition that is met: a and new get a value, b is
 * removed. They change together, or not at all. */
void trial_write(struct trial *trial);
void trial_get(struct trial *trial, const char *key);
void trial_get_into(struct trial *trial, const char *key);
void trial_compact(struct trial *trial);
void trial_sync(struct trial *trial);
void trial_list(struct trial *trial);
void trial_iterate(struct trial *trial);
void trial_verify(struct trial *trial, bool is_damaged);
void trial_repair(struct trial *trial);
void trial_stats(struct trial *trial);
void trial_close(struct trial *trial);

void trial_complain(struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
