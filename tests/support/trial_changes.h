/* SPDX-License-Identifier: MIT */

/* The calls that open, change and close the store of a trial, each checked as it
 * returns. None is made while no store is open. */

#ifndef TRIAL_CHANGES_H
#define TRIAL_CHANGES_H

#include "fault_trial.h"

/* NULL: defaults. */
bool trial_open(struct trial *trial, const kvstore_options *options);
void trial_close(struct trial *trial);

void trial_set(struct trial *trial, const char *key, const char *value);
void trial_remove(struct trial *trial, const char *key);

/* On a condition, and until a time, which may be KVSTORE_EXPIRES_KEEP. */
void trial_set_with(struct trial *trial,
                    const char *key,
                    const char *value,
                    int condition,
                    const char *expected,
                    int64_t expires_ms);
void trial_remove_if(struct trial *trial,
                     const char *key,
                     const char *expected);
void trial_take(struct trial *trial, const char *key);
void trial_expire(struct trial *trial, const char *key, int64_t expires_ms);

/* Adds to a number: with value it has, and the sum. */
void trial_increment(struct trial *trial, const char *key, const char *sum);

/* Sets the value of a key, having looked at what it had. */
void trial_update(struct trial *trial, const char *key, const char *value);

/* Writes a batch, on a condition that is met: a and new get a value, b is
 * removed. They change together, or not at all. */
void trial_write(struct trial *trial);

/* The same, on a condition that is not met. */
void trial_write_in_conflict(struct trial *trial);

/* Writes a batch of more keys than the smallest index has room for. */
void trial_write_many(struct trial *trial);

/* A write that the store refuses with a status of its own, if no fault is met
 * first. */
void trial_set_refused(struct trial *trial,
                       const char *key,
                       kvstore_status expected);

void trial_sync(struct trial *trial);
void trial_compact(struct trial *trial);
void trial_compact_if_due(struct trial *trial);
void trial_repair(struct trial *trial);

/* Checks that all of a batch is there, or nothing. */
void trial_check_batch(struct trial *trial);

#endif
