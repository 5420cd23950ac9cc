/* SPDX-License-Identifier: MIT */

/* The gate of a handle lets in one thread at a time. The others wait in the
 * order in which they came; a thread that brings work may find it done by the
 * one inside. Knows nothing of stores. */

#ifndef KV_OS_GATE_H
#define KV_OS_GATE_H

#include "kvstore.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A thread at the gate; on its stack. */
struct kv_gate_waiter {
    bool has_work;  /* Set by the thread. The rest is the gate's: */
    bool is_behind; /* It has been let in. */
    bool is_taken;  /* The thread inside has taken its work, */
    bool is_served; /* and done it. */
    pthread_cond_t turn;
    struct kv_gate_waiter *next;
};

struct kv_gate {
    pthread_mutex_t mutex;
    pthread_condattr_t clock; /* Conditions use CLOCK_MONOTONIC. */
    atomic_int state;         /* An enum gate_state. */
    struct kv_gate_waiter *first;
    struct kv_gate_waiter *last;
};

kvstore_status kv_gate_init(struct kv_gate *gate);

/* No thread may be at the gate any more. */
void kv_gate_destroy(struct kv_gate *gate);

#define KV_GATE_NO_DEADLINE INT64_MAX

/* Waits for the gate until a time (CLOCK_MONOTONIC, ns), or until the waiter's
 * work has been done, however long that takes once it has begun.
 * KVSTORE_OK:        This thread is inside, and must leave again.
 * KVSTORE_NOT_FOUND: Its work was done; it is not inside.
 * KVSTORE_BUSY:      The time has passed. No error is set with any of these. */
kvstore_status kv_gate_enter(struct kv_gate *gate,
                             struct kv_gate_waiter *waiter,
                             int64_t deadline_ns);

/* The same without waiting: false if another thread is inside. */
bool kv_gate_try_enter(struct kv_gate *gate);

/* Called inside: true if a thread may be waiting. */
bool kv_gate_is_awaited(const struct kv_gate *gate);

/* Called inside: takes the work of the thread that has waited longest with
 * some. NULL: there is none. */
struct kv_gate_waiter *kv_gate_take_work(struct kv_gate *gate);

/* Called inside: the work is done, and the waiter is not touched again. */
void kv_gate_serve(struct kv_gate *gate, struct kv_gate_waiter *waiter);

/* Leaves, and lets the next one in. */
void kv_gate_leave(struct kv_gate *gate);

/* Called in a child of fork(), where the other threads do not exist. True if a
 * thread was inside at the fork. */
bool kv_gate_was_taken(const struct kv_gate *gate);

#endif
