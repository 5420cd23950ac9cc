/* SPDX-License-Identifier: MIT */

/* A store whose records are known, so that a test can do something to its index
 * and see whether all of them are still found. */

#ifndef KNOWN_STORE_H
#define KNOWN_STORE_H

#include "store_calls.h"

#include <stddef.h>

#define KEYS 300
#define KNOWN_KEYS (KEYS - (KEYS + 6) / 7) /* Those not removed again. */
#define MANY_KEYS 20000                    /* More than a small index holds. */

void name_key(char *key, size_t size, int number);
const char *value_of(int number);

/* Sets every key twice, and removes every seventh. */
void write_known(kvstore *store);
void make_known(const struct store_dir *dir);
void assert_known(const kvstore *store);

/* Checks that a handle finds everything, whatever is there, and that the next
 * one does. */
void assert_heals(const struct store_dir *dir);

void remove_index(const struct store_dir *dir);

/* Checks that each handle sees what the other writes, in both orders. */
void assert_in_touch(kvstore *one, kvstore *other);

/* Append lines without the library: one of the key "hand", or one for each of
 * MANY_KEYS keys. */
void append_by_hand(const struct store_dir *dir, const char *value);
void append_many_by_hand(const struct store_dir *dir);
void assert_many(const kvstore *store);

/* Handles check the names of their files every 10 ms: 20 are enough. */
void rest(int ms);

#endif
