/* SPDX-License-Identifier: MIT */

/* The calls that read the store of a trial, each checked as it returns. None is
 * made while no store is open. */

#ifndef TRIAL_READS_H
#define TRIAL_READS_H

#include "fault_trial.h"

void trial_get(struct trial *trial, const char *key);
void trial_get_into(struct trial *trial, const char *key);
void trial_exists(struct trial *trial, const char *key);
void trial_get_many(struct trial *trial); /* All keys of the oracle. */
void trial_list(struct trial *trial, const char *prefix);

/* NULL: everything. Only a prefix, a direction and keys_only are expected. */
void trial_iterate(struct trial *trial, const kvstore_range *range);
void trial_verify(struct trial *trial, bool is_damaged);
void trial_stats(struct trial *trial);

/* Makes a backup beside the store, which is looked at when the trial is over. */
void trial_backup(struct trial *trial);

/* Looks at the backup, and makes another one, without faults. */
void trial_check_backup(struct trial *trial);

/* A watcher: from the start, or from now on. trial_watch() has it tell all that
 * there is. */
void trial_begin_watch(struct trial *trial, bool from_start);
void trial_watch(struct trial *trial);

/* Another one, of keys that begin with a prefix: looks once, and is freed. */
void trial_watch_prefix(struct trial *trial, const char *prefix);
void trial_end_watch(struct trial *trial);

/* Checks that what the watcher has told leads to what the store has. */
void trial_check_watch(struct trial *trial);

#endif
