/* SPDX-License-Identifier: MIT */

/* Compares a store with the ledger after a power cut. */

#ifndef POWER_CHECK_H
#define POWER_CHECK_H

#include "power_ledger.h"

/* Reads all keys by gets and by an iterator, and verifies the log. What was in
 * flight and is there must stay. What is not there to a handle that may not
 * write (is_final is false) may yet be there to one that may: it finishes an
 * unfinished last line, which the other leaves alone. */
void power_check(struct power_ledger *ledger,
                 unsigned store_number,
                 const kvstore *store,
                 bool is_final);

#endif
