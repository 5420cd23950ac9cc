/* SPDX-License-Identifier: MIT */

/* One compaction of a store that is open, by whom a workload wants. */

#ifndef BENCH_COMPACTOR_H
#define BENCH_COMPACTOR_H

#include "workload.h"

enum bench_compacts {
    BENCH_COMPACTS_ITSELF, /* As soon as it may, and a set makes it due. */
    BENCH_COMPACTS_THREAD, /* With the handle that others use meanwhile. */
    BENCH_COMPACTS_PROCESS /* Another one, as the store's command does. */
};

struct bench_compactor {
    enum bench_compacts who;
    struct bench_run *run;
    int order_fd; /* To the other process. */
    int answer_fd;
};

/* Before there is any thread, and before the store is opened, which settings
 * this changes. `who` is set. */
bool bench_compactor_init(struct bench_compactor *compactor,
                          struct bench_run *run);

/* Returns when it is done; how many there were. A store that compacts itself
 * is opened so that it may, has been told not to, and has a thread that sets. */
bool bench_compactor_run(struct bench_compactor *compactor,
                         const struct bench_opened *opened,
                         uint64_t *count_out);

#endif
