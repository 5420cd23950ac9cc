/* SPDX-License-Identifier: MIT */

/* Checks whether a history of calls on a key-value store is linearizable:
 * whether each call could have happened at one instant between its beginning
 * and its end, so that all results follow. Each key is a register of its own,
 * absent at first; as linearizability is local, keys are checked one by one (M.
 * Herlihy, J. Wing: Linearizability, ACM TOPLAS 12, 1990). Knows calls, no
 * store.
 *
 * The search is that of J. M. Wing and C. Gong (Testing and Verifying
 * Concurrent Objects, J. Parallel Distrib. Comput. 17, 1993) in the
 * just-in-time form, with memory, of G. Lowe (Testing for linearizability,
 * Concurrency and Computation 29, 2017): a sweep over the calls' beginnings and
 * ends keeps the set of all configurations that are possible, a configuration
 * being the register's value and which of the open calls have taken effect; and
 * lets calls take effect only when an end requires it.
 *
 * Bounds. With w writes of one key open at a time there are at most
 * (w + 2) * 2^w configurations: reads never add one, since a read that can
 * return the value now might as well take effect now. So the work for a history
 * of n calls is n * log n for sorting, and n times that bound at worst; usually
 * there are one to ten configurations. Calls that may or may not have happened
 * add few, see is_uncertain; but if many of them have no end, the bound is
 * multiplied by the numbers of such sets and removes: a caller that knows an
 * end should give it. For one key, 64 calls and 192 uncertain ones may be open
 * at a time, and a million configurations be examined for one end: anything
 * beyond that is LINEARIZABILITY_TOO_WIDE and decides nothing. */

#ifndef LINEARIZABILITY_H
#define LINEARIZABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LINEARIZABILITY_NEVER UINT64_MAX
#define LINEARIZABILITY_ABSENT UINT64_C(0)
#define LINEARIZABILITY_QUIETS 32

enum linearizability_kind {
    LINEARIZABILITY_SET,
    LINEARIZABILITY_GET,          /* The value, or LINEARIZABILITY_ABSENT. */
    LINEARIZABILITY_REMOVE,       /* Said that the key was there. */
    LINEARIZABILITY_REMOVE_ABSENT /* Said that it was not, and did nothing. */
};

/* A call. Calls that are known to have failed without effect are left out. Two
 * calls are concurrent if they have an instant in common. */
struct linearizability_call {
    uint64_t begun_ns;
    uint64_t ended_ns;
    uint64_t value; /* Written or read. No two sets of a key write the same. */
    uint32_t key;
    uint32_t client; /* For people to read. */
    enum linearizability_kind kind;
    /* Its caller has died, or does not know the outcome. It has taken effect
     * between begun_ns and ended_ns, or never will; LINEARIZABILITY_NEVER as
     * the end: it may at any time. It costs nothing if it is a set whose value
     * was read, for then it has happened, and by then; the others serve only a
     * remove that found something, or a read that found nothing, and of several
     * the one that ends first is as good as any. */
    bool is_uncertain;
};

enum linearizability_answer {
    LINEARIZABILITY_YES,
    LINEARIZABILITY_NO,
    LINEARIZABILITY_TOO_WIDE
};

struct linearizability_quiet {
    uint64_t time_ns;
    uint64_t value;
};

struct linearizability_verdict {
    enum linearizability_answer answer;
    size_t culprit; /* Up to the end of this call nothing explains the key's
                       history; up to any earlier end something does. */
    /* Some earlier times, farther apart the older they are, when only uncertain
     * calls were open, and the key's value was beyond doubt. Time 0: none. */
    struct linearizability_quiet quiets[LINEARIZABILITY_QUIETS];
    uint64_t quiet_count;
    size_t open_most; /* Calls of one key at one time. */
    size_t configurations_most;
};

/* Checks the calls, in any order, of all keys. */
void linearizability_check(const struct linearizability_call *calls,
                           size_t count,
                           struct linearizability_verdict *verdict_out);

/* Prints a part of the calls of the culprit's key that is a violation in
 * itself: since the last quiet time that will do, and without the reads that
 * are not needed. Times are in microseconds before the culprit's end. */
void linearizability_explain(FILE *stream,
                             const struct linearizability_call *calls,
                             size_t count,
                             const struct linearizability_verdict *verdict);

#endif
