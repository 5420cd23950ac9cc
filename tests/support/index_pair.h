/* SPDX-License-Identifier: MIT */

/* A log and its index in private memory, for the tests of the index. Every
 * call fails the test where it fails itself. */

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

/* Of the log that stands in the directory. */
struct pair open_pair(const struct store_dir *dir);

/* Of a text, which is released; state is the directory, as cmocka has it. */
struct pair make_pair(void **state, struct log_text *text);

void close_pair(struct pair *pair);

#define NOWHERE UINT64_MAX

/* Where is a key's newest record, and its newest line that cannot be served? */
void assert_found(const struct pair *pair,
                  const char *key,
                  uint64_t offset,
                  uint64_t flagged_offset);

/* Is the last line applied still what it was? */
bool matches(const struct pair *pair);

#endif
