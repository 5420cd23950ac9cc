/* SPDX-License-Identifier: MIT */

/* The gate of a handle: one thread at a time is behind it. The others wait in
 * the order in which they came; one that has brought work may find it done by
 * who is behind. Knows nothing of stores. */

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
    bool is_behind; /* It is its turn. */
    bool is_taken;  /* Somebody has taken its work, */
    bool is_served; /* and done it. */
    pthread_cond_t turn;
    struct kv_gate_waiter *next;
};

struct kv_gate {
    pthread_mutex_t mutex;
    pthread_condattr_t clock; /* Conditions go by CLOCK_MONOTONIC. */
    atomic_int state;         /* An enum gate_state. */
    struct kv_gate_waiter *first;
    struct kv_gate_waiter *last;
};

kvstore_status kv_gate_init(struct kv_gate *gate);

/* Nobody is at the gate any more. */
void kv_gate_destroy(struct kv_gate *gate);

#define KV_GATE_NO_DEADLINE INT64_MAX

/* Waits for the gate until a time (CLOCK_MONOTONIC, ns), or until the waiter's
 * work has been done, however long that takes once it has begun.
 * KVSTORE_OK:        This thread is behind the gate, to leave it again.
 * KVSTORE_NOT_FOUND: Its work was done; it is not behind the gate.
 * KVSTORE_BUSY:      The time has passed. No error is set with any of these. */
kvstore_status kv_gate_enter(struct kv_gate *gate,
                             struct kv_gate_waiter *waiter,
                             int64_t deadline_ns);

/* The same without waiting: false where anybody is behind the gate. */
bool kv_gate_try_enter(struct kv_gate *gate);

/* Behind the gate: takes the work of who has waited longest with some, or
 * NULL. */
struct kv_gate_waiter *kv_gate_take_work(struct kv_gate *gate);

/* Behind the gate: the work is done, and the waiter is not touched again. */
void kv_gate_serve(struct kv_gate *gate, struct kv_gate_waiter *waiter);

/* Lets the next one in. */
void kv_gate_leave(struct kv_gate *gate);

/* In a child of fork(), which the other threads are not in: was anybody behind
 * the gate at the fork? */
bool kv_gate_was_taken(const struct kv_gate *gate);

#endif
