/* SPDX-License-Identifier: MIT */

/* Tries all subsets that hold the certain calls, and all orders of each, as
 * plainly as can be: so that there is nothing to get wrong. */

#include "all_orders.h"

/* Puts the next order in place of this one, alphabetically; false after the
 * last. */
static bool next_order(size_t *order, size_t count)
{
    size_t i = count;
    while (i > 1 && order[i - 2] > order[i - 1]) {
        i--;
    }
    if (i < 2) {
        return false;
    }
    size_t j = count;
    while (order[j - 1] < order[i - 2]) {
        j--;
    }
    size_t swapped = order[i - 2];
    order[i - 2] = order[j - 1];
    order[j - 1] = swapped;
    for (size_t a = i - 1, b = count - 1; a < b; a++, b--) {
        swapped = order[a];
        order[a] = order[b];
        order[b] = swapped;
    }
    return true;
}

/* True if these calls can have happened in this order. Those that are not in
 * the subset have not happened. */
static bool is_order(const struct linearizability_call *calls,
                     const size_t *order,
                     size_t count,
                     unsigned subset)
{
    uint64_t value = LINEARIZABILITY_ABSENT;
    uint64_t latest_begin = 0;
    for (size_t i = 0; i < count; i++) {
        const struct linearizability_call *call = &calls[order[i]];
        if ((subset >> order[i] & 1) == 0) {
            continue;
        }
        /* It had ended before a call began that precedes it here. */
        if (call->ended_ns < latest_begin) {
            return false;
        }
        if (call->begun_ns > latest_begin) {
            latest_begin = call->begun_ns;
        }
        bool fits =
            call->kind == LINEARIZABILITY_SET ||
            (call->kind == LINEARIZABILITY_GET && call->value == value) ||
            (call->kind == LINEARIZABILITY_REMOVE &&
             value != LINEARIZABILITY_ABSENT) ||
            (call->kind == LINEARIZABILITY_REMOVE_ABSENT &&
             value == LINEARIZABILITY_ABSENT);
        if (!fits) {
            return false;
        }
        value = call->kind == LINEARIZABILITY_SET      ? call->value
                : call->kind == LINEARIZABILITY_REMOVE ? LINEARIZABILITY_ABSENT
                                                       : value;
    }
    return true;
}

/* True if the calls of a subset have an order. */
static bool has_order(const struct linearizability_call *calls,
                      size_t count,
                      unsigned subset)
{
    size_t order[ALL_ORDERS_CALLS_MAX];
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    do {
        if (is_order(calls, order, count, subset)) {
            return true;
        }
    } while (next_order(order, count));
    return false;
}

bool all_orders_has_one(const struct linearizability_call *calls, size_t count)
{
    unsigned certain = 0;
    for (size_t i = 0; i < count; i++) {
        certain |= calls[i].is_uncertain ? 0 : 1u << i;
    }
    for (unsigned subset = 0; subset < 1u << count; subset++) {
        if ((subset & certain) == certain && has_order(calls, count, subset)) {
            return true;
        }
    }
    return false;
}
