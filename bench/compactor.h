/* SPDX-License-Identifier: MIT */

/* One compaction of an open store, run by what the workload chooses. */

#ifndef BENCH_COMPACTOR_H
#define BENCH_COMPACTOR_H

#include "workload.h"

enum bench_compacts {
    BENCH_COMPACTS_ITSELF, /* Once it may, as soon as a set makes it due. */
    BENCH_COMPACTS_THREAD, /* With the handle that others use meanwhile. */
    BENCH_COMPACTS_PROCESS /* Another process, like the store's command. */
};

struct bench_compactor {
    enum bench_compacts who;
    struct bench_run *run;
    int order_fd; /* To the other process. */
    int answer_fd;
};

/* Called before there are threads, and before the store is opened, since it
 * changes the settings for that. `who` is set. */
bool bench_compactor_init(struct bench_compactor *compactor,
                          struct bench_run *run);

/* Returns when the compaction is done, with the number of compactions in that
 * time. A store that compacts itself has been opened so that it may, was then
 * told not to by let_compact(), and has a thread that sets. */
bool bench_compactor_run(struct bench_compactor *compactor,
                         const struct bench_opened *opened,
                         uint64_t *count_out);

#endif
