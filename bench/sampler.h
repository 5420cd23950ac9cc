/* SPDX-License-Identifier: MIT */

/* A thread that measures every two milliseconds how large the directory of a
 * store is, and its files. */

#ifndef BENCH_SAMPLER_H
#define BENCH_SAMPLER_H

#include "store.h"

#include <pthread.h>
#include <stdatomic.h>

/* Bytes, as allocated on the disk and as the lengths of files. */
struct bench_sample {
    uint64_t allocated;
    uint64_t length;
    uint64_t index_allocated; /* Those allocated that are the index's. */
    uint64_t log_length;
    uint64_t log_inode;
    uint64_t index_inode;
    uint64_t index_length;  /* Of the one in use. */
    uint64_t beside;        /* Set since the compaction began, */
    uint64_t beside_before; /* and during the one before it. */
    bool is_compacting;
};

struct bench_sampler {
    const struct bench_store *store;
    const char *dir;
    uint64_t live_bytes;
    atomic_ullong set_bytes; /* Counted by the thread that sets. */
    atomic_bool must_end;
    atomic_bool is_compacting; /* For others to see. */
    pthread_t thread;

    /* What came out of it, once it has ended. */
    struct bench_sample
        worst;          /* The one closest to the bound, or most above it. */
    double worst_share; /* Its share of the bound. */
    uint64_t allocated_max;
    uint64_t length_max;
    uint64_t log_count;   /* How many new logs were seen, */
    uint64_t log_bytes;   /* and how long they were then. */
    uint64_t index_bytes; /* How long new indexes were. */
    uint64_t samples;
};

/* How large a directory may be: 3 times the live bytes and 2 MiB, the index,
 * what was set while the last compaction ran, and twice what was set while this
 * one did. */
uint64_t bench_sampler_bound(const struct bench_sampler *sampler,
                             const struct bench_sample *sample);

bool bench_sampler_start(struct bench_sampler *sampler);
void bench_sampler_end(struct bench_sampler *sampler);

#endif
