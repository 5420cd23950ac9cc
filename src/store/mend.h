/* SPDX-License-Identifier: MIT */

/* Mends what a dead or failed writer has left at the end of the log. */

#ifndef KV_STORE_MEND_H
#define KV_STORE_MEND_H

#include "kvstore.h"
#include "store/store.h"

#include <stdbool.h>

/* Mends the end of the log, with which the pair is up to date, and makes that
 * durable: cuts off a torn tail, or adds the missing newline. Not where a newer
 * version has written. has_gained_out: a program that takes no lock has
 * appended meanwhile, so nothing is mended, and the pair must be brought up to
 * date again. */
kvstore_status kv_store_mend(struct kvstore *store,
                             bool *has_gained_out) KV_LOCKED;

#endif
