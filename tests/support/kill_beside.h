/* SPDX-License-Identifier: MIT */

/* What others do while a compactor that will die pauses: handles that are open
 * all along, and some processes that die themselves. */

#ifndef KILL_BESIDE_H
#define KILL_BESIDE_H

#include "kill_trial.h"

/* Sets keys that a compaction copies first and last, and what is between them:
 * live lines and stale ones, more than wait for their turn in it. */
void kill_beside_fill(struct kill_trial *trial);

/* An operation's beside(). What each letter of the trial's script means, the
 * writers taking turns, one that syncs and one that does not:
 *
 *     n  a new key is set                  E  one of the first is removed
 *     e  one of the first is overwritten   L  one of the last is removed
 *     l  one of the last is overwritten    b  one is removed, and set again
 *     t  a new key is set, and removed     h  a writer dies in half of its line
 *     r  the reader reads everything       w  a writer dies after its write
 *     q  the read-only watcher does        i  the index is deleted
 *     o  a new handle reads everything
 *
 * While the compactor has the lock, all read, and none writes. */
void kill_beside_act(struct kill_trial *trial);

#endif
