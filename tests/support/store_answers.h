/* SPDX-License-Identifier: MIT */

/* All that a store says of itself, to be compared with what it says when it has
 * reached the same state in another way. Knows only the public calls. */

#ifndef STORE_ANSWERS_H
#define STORE_ANSWERS_H

#include "kvstore.h"
#include "random_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWERS_PLACES 64

/* What is wrong, by the name of the relation that does not hold. The first
 * failure counts. */
struct store_failure {
    char relation[96]; /* Empty: no failure. */
    char detail[256];
};

/* Returns true, so that callers can leave with it. */
bool store_failure_set(struct store_failure *failure,
                       const char *relation,
                       const char *format,
                       ...) __attribute__((format(printf, 3, 4)));

struct store_answer {
    kvstore_status status;
    size_t size;
    uint64_t hash;
    char begin[24]; /* Of the value, for people. */
};

struct store_answers {
    struct store_answer keys[RANDOM_LOG_KEYS];
    kvstore_stats stats;
    struct {
        uint64_t offset;
        uint64_t length;
    } places[ANSWERS_PLACES]; /* Of damage, in the order of the log. */
    size_t place_count;       /* May be more. */
};

/* Asks for everything, in every way there is; the answers must agree. False:
 * they do not. */
bool store_answers_take(const kvstore *store,
                        const char *when,
                        struct store_answers *answers_out,
                        struct store_failure *failure);

/* False: some key says something else. */
bool store_answers_same_keys(const struct store_answers *wanted,
                             const struct store_answers *found,
                             const char *relation,
                             struct store_failure *failure);

/* The same for the counters, except those that show how the state was
 * reached. */
bool store_answers_same_stats(const struct store_answers *wanted,
                              const struct store_answers *found,
                              const char *relation,
                              struct store_failure *failure);

#endif
