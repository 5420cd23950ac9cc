/* SPDX-License-Identifier: MIT */

/* A log and its index in private memory, for the tests of the index. A call
 * that fails fails the test. */

#ifndef INDEX_PAIR_H
#define INDEX_PAIR_H

#include "index/index.h"
#include "log/log.h"
#include "store_dir.h"

#include <stdbool.h>
#include <stdint.h>

struct pair {
    struct kv_log log;
    struct kv_index index;
};

/* Opens the log in the directory. */
struct pair open_pair(const struct store_dir *dir);

/* Makes the log from a text, which is released; state is the directory, as
 * cmocka has it. */
struct pair make_pair(void **state, struct log_text *text);

void close_pair(struct pair *pair);

/* Applies a line of the log that begins where the last one ended. Its slot is put
 * first, so that a failure changes nothing. */
kvstore_status apply_line(struct pair *pair, const struct kv_fold_item *item);

#define NOWHERE UINT64_MAX

/* Asserts where a key's newest record is, and its newest line that cannot be
 * served. */
void assert_found(const struct pair *pair,
                  const char *key,
                  uint64_t offset,
                  uint64_t damage_offset);

/* True if the last line applied is still what it was. */
bool matches(const struct pair *pair);

#endif
