/* SPDX-License-Identifier: MIT */

/* The handles that read a store and write to it after a process has died: each
 * call is checked, and everything that the oracle knows is compared. */

#ifndef KILL_WITNESS_H
#define KILL_WITNESS_H

#include "kill_trial.h"

/* Opens the long-lived handles that are not open yet; closes them. */
void kill_witness_open(struct kill_trial *trial);
void kill_witness_close(struct kill_trial *trial);

/* Lets handles act in an order, in which each letter means:
 *
 *     r  the reader reads everything        n  the unsynced writer writes
 *     q  the read-only watcher does         d  the durable writer does
 *     o  a new handle reads everything      O  a new handle writes
 *     p  the same, read-only                t  a moment passes
 */
void kill_witness_go_on(struct kill_trial *trial, const char *order);

/* The same in the trial's order, right after the death. */
void kill_witness_look_first(struct kill_trial *trial);

/* Sets a key by one of the handles, or removes it if the value is an empty
 * text. */
void kill_witness_write(struct kill_trial *trial,
                        const char *who,
                        kvstore *store,
                        const char *key,
                        const char *value);

/* Checks the handles that only read, at their first call after a compaction. */
void kill_witness_meet_new_pair(struct kill_trial *trial);

/* Checks the handles while a process is stopped. */
void kill_witness_meet_stopped(struct kill_trial *trial, int pid);

/* At the end: checks the log alone, and an index built anew or a compaction. */
void kill_witness_close_case(struct kill_trial *trial);

#endif
