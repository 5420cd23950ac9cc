/* SPDX-License-Identifier: MIT */

/* The public calls as tests mostly make them: with C strings, and the outcome
 * checked. */

#ifndef STORE_CALLS_H
#define STORE_CALLS_H

#include "kvstore.h"
#include "store_dir.h"

#include <stdint.h>

/* Unsynced and compacted by hand: what most tests want. */
kvstore_options plain_options(void);
kvstore *open_plain(const struct store_dir *dir);
kvstore *open_with(const struct store_dir *dir, const kvstore_options *options);

kvstore_status try_set(kvstore *store, const char *key, const char *value);
kvstore_status try_get(const kvstore *store, const char *key);

void must_set(kvstore *store, const char *key, const char *value);
void must_remove(kvstore *store, const char *key);
void must_compact(kvstore *store);

void assert_value(const kvstore *store, const char *key, const char *value);
void assert_absent(const kvstore *store, const char *key);
void assert_corrupt(const kvstore *store, const char *key, uint64_t offset);

/* Returns the counters, after checking that they add up to the log's size. */
kvstore_stats checked_stats(const kvstore *store);

#endif
