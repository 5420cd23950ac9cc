/* SPDX-License-Identifier: MIT */

/* The keys and values that all stores get: 16 bytes of hex digits, and 100
 * bytes of plain English words that begin with the key, so that a reader of a
 * value can check that it is the right one. All of it follows from the number
 * of the key, so that nothing is looked up while the clock runs. There are keys
 * in order, in none, and in groups that share a prefix. */

#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BENCH_KEY_SIZE 16
#define BENCH_VALUE_SIZE 100

/* A one-to-one scramble of 64 bits (the finisher of splitmix64). */
static inline uint64_t bench_scramble(uint64_t number)
{
    number ^= number >> 30;
    number *= 0xbf58476d1ce4e5b9u;
    number ^= number >> 27;
    number *= 0x94d049bb133111ebu;
    return number ^ (number >> 31);
}

/* The next of a series of random numbers. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return bench_scramble(*state);
}

/* The next one, below a bound that fits in 32 bits. */
static inline uint64_t bench_random_below(uint64_t *state, uint64_t bound)
{
    return ((bench_random(state) >> 32) * bound) >> 32;
}

/* The place of a number in another order: a permutation of all below count. */
static inline uint64_t bench_shuffled(uint64_t number, uint64_t count)
{
    /* A prime above any count, so that they have no common factor. */
    return number % count * 4294967291u % count;
}

/* Keys that ascend with their number. */
void bench_key_ordered(uint64_t number, char *key_out);

/* Keys in no order; different numbers have different keys. */
static inline void bench_key(uint64_t number, char *key_out)
{
    bench_key_ordered(bench_scramble(number + 1), key_out);
}

/* Keys that share their first bytes with some two hundred others. Numbers that
 * follow each other do not, so that a store is filled in no order. */
#define BENCH_PREFIX_SIZE 8
#define BENCH_KEYS_OF_PREFIX 200u

static inline uint64_t bench_prefix_count(uint64_t count)
{
    return count > BENCH_KEYS_OF_PREFIX ? count / BENCH_KEYS_OF_PREFIX : 1;
}

static inline void bench_key_grouped(uint64_t number,
                                     uint64_t count,
                                     char *key_out)
{
    /* Each half is one-to-one, since the factor is odd. */
    const uint32_t factor = 2654435769u;
    uint64_t prefixes = bench_prefix_count(count);
    uint64_t prefix = (uint32_t)(number % prefixes + 1) * factor;
    uint64_t member = (uint32_t)(number / prefixes + 1) * factor;
    bench_key_ordered(prefix << 32 | member, key_out);
}

/* The value of a key; its successive values differ by the version. */
void bench_value(const char *key, uint64_t version, char *value_out);

/* True if this is a value of that key. */
static inline bool bench_value_fits(const char *key, const char *value)
{
    return memcmp(key, value, BENCH_KEY_SIZE) == 0;
}

/* Fills an array with numbers below keys, the popular ones far more often
 * (zipf, exponent 0.99, as in YCSB), and scattered over the store. */
void bench_zipf(uint64_t keys, uint64_t seed, uint32_t *numbers, size_t count);

#endif
