/* SPDX-License-Identifier: MIT */

/* Those who look at a store and write to it after somebody has died: each call
 * is checked, and everything that the oracle knows compared. */

#ifndef KILL_WITNESS_H
#define KILL_WITNESS_H

#include "kill_trial.h"

/* Opens the handles that live long, where they are not open yet; closes them. */
void kill_witness_open(struct kill_trial *trial);
void kill_witness_close(struct kill_trial *trial);

/* What each letter of an order stands for:
 *
 *     r  the reader reads everything        n  the unsynced writer writes
 *     q  the read-only watcher does         d  the durable writer does
 *     o  somebody opens, and reads          O  somebody opens, and writes
 *     p  the same, read-only                t  a moment passes
 */
void kill_witness_go_on(struct kill_trial *trial, const char *order);

/* The same by the trial's order, right after the death. */
void kill_witness_look_first(struct kill_trial *trial);

/* One of them sets a key, or removes it where the value is an empty text. */
void kill_witness_write(struct kill_trial *trial,
                        const char *who,
                        kvstore *store,
                        const char *key,
                        const char *value);

/* Those who only read, at their first call behind a compaction. */
void kill_witness_meet_new_pair(struct kill_trial *trial);

/* While somebody is stopped. */
void kill_witness_meet_stopped(struct kill_trial *trial, int pid);

/* At the end: the log alone, and the index built anew or a compaction. */
void kill_witness_close_case(struct kill_trial *trial);

#endif
