/* SPDX-License-Identifier: MIT */

/* A second checker of histories, which tries all orders of their calls. It is
 * for comparison, and for few calls of one key. */

#ifndef ALL_ORDERS_H
#define ALL_ORDERS_H

#include "linearizability.h"

#include <stdbool.h>
#include <stddef.h>

#define ALL_ORDERS_CALLS_MAX 10

/* True if there is an order in which the calls can have happened. */
bool all_orders_has_one(const struct linearizability_call *calls, size_t count);

#endif
