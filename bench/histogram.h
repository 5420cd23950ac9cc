/* SPDX-License-Identifier: MIT */

/* Counts of durations, in buckets that are each 1.6 % wide. */

#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define BENCH_HISTOGRAM_BITS 6

struct bench_histogram {
    uint64_t counts[64 << BENCH_HISTOGRAM_BITS];
    uint64_t count;
    uint64_t max;
};

void bench_histogram_add(struct bench_histogram *histogram,
                         uint64_t nanoseconds);

/* The duration that this share of them, from 0 to 1, does not exceed. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram,
                            double share);

#endif
