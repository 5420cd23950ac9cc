/* SPDX-License-Identifier: MIT */

/* The keys and values that all stores get. */

#include "data.h"

#include <math.h>
#include <pthread.h>
#include <stddef.h>

#define TEXT_SIZE 8192u

static char text[TEXT_SIZE + BENCH_VALUE_SIZE];
static pthread_once_t text_once = PTHREAD_ONCE_INIT;

static void write_text(void)
{
    static const char *const words[] = {
        "river ",   "and ",   "the ",     "old ",   "letter ",
        "of ",      "seven ", "bright ",  "a ",     "stones ",
        "window ",  "in ",    "morning ", "carry ", "to ",
        "through ", "green ", "market ",  "with ",  "quiet "};
    uint64_t state = 1;
    size_t size = 0;
    while (size < sizeof text) {
        const char *word =
            words[bench_random_below(&state, sizeof words / sizeof words[0])];
        for (; *word != '\0' && size < sizeof text; word++) {
            text[size++] = *word;
        }
    }
}

void bench_key_ordered(uint64_t number, char *key_out)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = BENCH_KEY_SIZE - 1; i >= 0; i--) {
        key_out[i] = digits[number & 15];
        number >>= 4;
    }
}

void bench_value(const char *key, uint64_t version, char *value_out)
{
    (void)pthread_once(&text_once, write_text);
    uint64_t word;
    memcpy(&word, key + BENCH_KEY_SIZE - sizeof word, sizeof word);
    size_t offset = (size_t)(bench_scramble(word + version) % TEXT_SIZE);
    memcpy(value_out, key, BENCH_KEY_SIZE);
    memcpy(value_out + BENCH_KEY_SIZE,
           text + offset,
           BENCH_VALUE_SIZE - BENCH_KEY_SIZE);
}

static double zeta(uint64_t count, double exponent)
{
    double sum = 0;
    for (uint64_t i = 1; i <= count; i++) {
        sum += pow((double)i, -exponent);
    }
    return sum;
}

void bench_zipf(uint64_t keys, uint64_t seed, uint32_t *numbers, size_t count)
{
    /* Gray and others, "Quickly generating billion-record synthetic
     * databases", SIGMOD 1994. */
    const double exponent = 0.99;
    const double all = zeta(keys, exponent);
    const double two = zeta(2, exponent);
    const double alpha = 1 / (1 - exponent);
    const double eta =
        (1 - pow(2.0 / (double)keys, 1 - exponent)) / (1 - two / all);
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++) {
        double u = (double)(bench_random(&state) >> 11) / 9007199254740992.0;
        double place = 0;
        if (u * all >= two) {
            place = (double)keys * pow(eta * u - eta + 1, alpha);
        } else if (u * all >= 1) {
            place = 1;
        }
        uint64_t rank = place < (double)keys ? (uint64_t)place : keys - 1;
        numbers[i] = (uint32_t)bench_shuffled(rank, keys);
    }
}
