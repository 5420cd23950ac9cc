/* SPDX-License-Identifier: MIT */

/* A store whose records are known, so that a test can do something to its index
 * and see whether all of them are still found. */

#ifndef KNOWN_STORE_H
#define KNOWN_STORE_H

#include "index/table.h"
#include "store_calls.h"

#include <stddef.h>
#include <stdint.h>

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

/* The slot of a key, as it is in store.index. */
struct stored_slot {
    uint64_t at; /* In the file. */
    struct kv_table_hash hash;
    struct kv_table_entry entry;
};
struct stored_slot find_slot(const struct store_dir *dir, const char *key);
struct stored_slot find_damage_slot(const struct store_dir *dir,
                                    const char *key);

/* Stores what the entry is now. */
void store_slot(const struct store_dir *dir, const struct stored_slot *slot);
void empty_slot(const struct store_dir *dir, const struct stored_slot *slot);

/* Takes all places of store.index that are empty, by slots that no record has, and
 * counts none of them. */
void take_all_places(const struct store_dir *dir);

/* Loads and stores a word of the header of store.index. */
#define HEADER_AT(member) offsetof(struct kv_table_header, member)
uint64_t load_header_word(const struct store_dir *dir, size_t at);
void store_header_word(const struct store_dir *dir, size_t at, uint64_t word);

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
