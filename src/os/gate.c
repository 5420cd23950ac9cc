/* SPDX-License-Identifier: MIT */

/* The gate of a handle.
 *
 * Invariants:
 * 1. A thread in the queue has neither been let in nor served, and its work has
 *    not been taken.
 * 2. A thread that leaves hands the gate to the first in the queue: none that
 *    comes later gets in between.
 * 3. A waiter is touched under the mutex only, and not after it was served.
 * 4. While a thread is in the queue, the state is AWAITED. The state becomes
 *    AWAITED, and changes from it, under the mutex only; so a thread that finds
 *    the gate free, or leaves it with none waiting, does without the mutex. */

#include "os/gate.h"

#include "os/error.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

enum gate_state {
    GATE_FREE,
    GATE_TAKEN,
    GATE_AWAITED /* Taken, and there may be a queue. */
};

kvstore_status kv_gate_init(struct kv_gate *gate)
{
    *gate = (struct kv_gate){.first = NULL};
    int result = pthread_condattr_init(&gate->clock);
    if (result == 0) {
        result = pthread_condattr_setclock(&gate->clock, CLOCK_MONOTONIC);
        if (result != 0) {
            (void)pthread_condattr_destroy(&gate->clock);
        }
    }
    if (result != 0) {
        return kv_fail_errno(
            KVSTORE_NO_MEMORY, result, "cannot make a condition");
    }
    (void)pthread_mutex_init(&gate->mutex, NULL);
    return KVSTORE_OK;
}

void kv_gate_destroy(struct kv_gate *gate)
{
    (void)pthread_condattr_destroy(&gate->clock);
    (void)pthread_mutex_destroy(&gate->mutex);
}

/* --- The queue; the mutex is held --- */

static void append(struct kv_gate *gate, struct kv_gate_waiter *waiter)
{
    waiter->next = NULL;
    if (gate->last == NULL) {
        gate->first = waiter;
    } else {
        gate->last->next = waiter;
    }
    gate->last = waiter;
}

/* Takes a waiter out; previous is the one before it, or NULL. */
static void take_out(struct kv_gate *gate,
                     struct kv_gate_waiter *previous,
                     struct kv_gate_waiter *waiter)
{
    if (previous == NULL) {
        gate->first = waiter->next;
    } else {
        previous->next = waiter->next;
    }
    if (gate->last == waiter) {
        gate->last = previous;
    }
    waiter->next = NULL;
}

static void give_up(struct kv_gate *gate, struct kv_gate_waiter *waiter)
{
    struct kv_gate_waiter *previous = NULL;
    struct kv_gate_waiter *at = gate->first;
    while (at != waiter) {
        assert(at != NULL);
        previous = at;
        at = at->next;
    }
    take_out(gate, previous, waiter);
}

/* Waits to be let in or served. False: the deadline passed before either, and
 * before its work was taken. */
static bool await_turn(struct kv_gate *gate,
                       struct kv_gate_waiter *waiter,
                       int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    int result = 0;
    while (!waiter->is_behind && !waiter->is_served) {
        if (result == ETIMEDOUT && !waiter->is_taken) {
            return false;
        }
        result = deadline_ns == KV_GATE_NO_DEADLINE || waiter->is_taken
                     ? pthread_cond_wait(&waiter->turn, &gate->mutex)
                     : pthread_cond_timedwait(
                           &waiter->turn, &gate->mutex, &deadline);
    }
    return true;
}

static kvstore_status queue_up(struct kv_gate *gate,
                               struct kv_gate_waiter *waiter,
                               int64_t deadline_ns)
{
    if (pthread_cond_init(&waiter->turn, &gate->clock) != 0) {
        return KVSTORE_BUSY;
    }
    append(gate, waiter);
    bool is_done = await_turn(gate, waiter, deadline_ns);
    if (!is_done) {
        give_up(gate, waiter);
    }
    (void)pthread_cond_destroy(&waiter->turn);
    if (!is_done) {
        return KVSTORE_BUSY;
    }
    return waiter->is_behind ? KVSTORE_OK : KVSTORE_NOT_FOUND;
}

/* --- The gate --- */

bool kv_gate_try_enter(struct kv_gate *gate)
{
    int free = GATE_FREE;
    return atomic_compare_exchange_strong(&gate->state, &free, GATE_TAKEN);
}

kvstore_status kv_gate_enter(struct kv_gate *gate,
                             struct kv_gate_waiter *waiter,
                             int64_t deadline_ns)
{
    if (kv_gate_try_enter(gate)) {
        return KVSTORE_OK;
    }
    waiter->is_behind = false;
    waiter->is_taken = false;
    waiter->is_served = false;
    kvstore_status status = KVSTORE_OK;
    (void)pthread_mutex_lock(&gate->mutex);
    if (atomic_exchange(&gate->state, GATE_AWAITED) == GATE_FREE) {
        atomic_store(&gate->state, GATE_TAKEN); /* It was left just now. */
    } else {
        status = queue_up(gate, waiter, deadline_ns);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
    return status;
}

bool kv_gate_is_awaited(const struct kv_gate *gate)
{
    assert(atomic_load(&gate->state) != GATE_FREE);
    return atomic_load(&gate->state) == GATE_AWAITED;
}

struct kv_gate_waiter *kv_gate_take_work(struct kv_gate *gate)
{
    if (!kv_gate_is_awaited(gate)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&gate->mutex);
    struct kv_gate_waiter *previous = NULL;
    struct kv_gate_waiter *waiter = gate->first;
    while (waiter != NULL && !waiter->has_work) {
        previous = waiter;
        waiter = waiter->next;
    }
    if (waiter != NULL) {
        take_out(gate, previous, waiter);
        waiter->is_taken = true;
    }
    (void)pthread_mutex_unlock(&gate->mutex);
    return waiter;
}

void kv_gate_serve(struct kv_gate *gate, struct kv_gate_waiter *waiter)
{
    (void)pthread_mutex_lock(&gate->mutex);
    assert(waiter->is_taken);
    waiter->is_served = true;
    (void)pthread_cond_signal(&waiter->turn);
    (void)pthread_mutex_unlock(&gate->mutex);
}

void kv_gate_leave(struct kv_gate *gate)
{
    int taken = GATE_TAKEN;
    if (atomic_compare_exchange_strong(&gate->state, &taken, GATE_FREE)) {
        return;
    }
    (void)pthread_mutex_lock(&gate->mutex);
    assert(taken == GATE_AWAITED);
    struct kv_gate_waiter *next = gate->first;
    if (next != NULL) {
        take_out(gate, NULL, next);
        next->is_behind = true;
        (void)pthread_cond_signal(&next->turn);
    } else {
        atomic_store(&gate->state, GATE_FREE);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
}

bool kv_gate_was_taken(const struct kv_gate *gate)
{
    /* The thread that held the mutex may be gone, so it must not be locked. */
    return atomic_load(&gate->state) != GATE_FREE;
}
