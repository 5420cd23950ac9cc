/* SPDX-License-Identifier: MIT */

/* Counts of durations: a bucket for each value of the leading bits after the
 * highest one, so that the error is the same share of any duration. */

#include "histogram.h"

#define STEPS ((uint64_t)1 << BENCH_HISTOGRAM_BITS)

static unsigned bucket_of(uint64_t value)
{
    if (value < STEPS) {
        return (unsigned)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value);
    shift -= BENCH_HISTOGRAM_BITS;
    return (unsigned)(((uint64_t)(shift + 1) << BENCH_HISTOGRAM_BITS) +
                      (value >> shift) - STEPS);
}

/* The largest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
    if (bucket < STEPS) {
        return bucket;
    }
    unsigned shift = (bucket >> BENCH_HISTOGRAM_BITS) - 1;
    uint64_t leading = (bucket & (STEPS - 1)) + STEPS;
    return ((leading + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *histogram,
                         uint64_t nanoseconds)
{
    histogram->counts[bucket_of(nanoseconds)]++;
    histogram->count++;
    if (nanoseconds > histogram->max) {
        histogram->max = nanoseconds;
    }
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram,
                            double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count);
    uint64_t seen = 0;
    const unsigned buckets = 64u << BENCH_HISTOGRAM_BITS;
    for (unsigned i = 0; i < buckets; i++) {
        seen += histogram->counts[i];
        if (seen > wanted) {
            uint64_t top = top_of(i);
            return top < histogram->max ? top : histogram->max;
        }
    }
    return histogram->max;
}
