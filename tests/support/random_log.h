/* SPDX-License-Identifier: MIT */

/* Random logs: sound lines of all layouts, and damage of all kinds, in pieces
 * that can be dropped one by one. The same seed makes the same log. Lays lines
 * out on its own, and judges nothing. */

#ifndef RANDOM_LOG_H
#define RANDOM_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RANDOM_LOG_PIECES 24

/* The keys that occur. */
#define RANDOM_LOG_KEYS 8
extern const char *const random_log_keys[RANDOM_LOG_KEYS];

struct random_piece {
    char *bytes; /* Owned. */
    size_t size;
};

struct random_log {
    struct random_piece pieces[RANDOM_LOG_PIECES];
    size_t count;
    size_t size;           /* Of all pieces. */
    uint64_t random_state; /* Splitmix64. */
};

/* Returns a number below a bound; a state may be any number. */
uint64_t random_log_below(uint64_t *random_state, uint64_t bound);

/* The log must be released. */
void random_log_make(struct random_log *log, uint64_t seed);
void random_log_release(struct random_log *log);

/* Copies a log without one piece; the copy must be released. */
void random_log_without(const struct random_log *log,
                        size_t piece,
                        struct random_log *log_out);

/* Returns all bytes, to be freed; log->size of them. */
char *random_log_join(const struct random_log *log);

/* Prints a piece on each line; runs of one byte as their count. */
void random_log_print(FILE *stream, const struct random_log *log);

#endif
