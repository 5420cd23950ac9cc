/* SPDX-License-Identifier: MIT */

/* How much room a filled store takes on the disk once it is closed. */

#include "directory.h"
#include "workload.h"

#include <stddef.h>

static bool run_disk(struct bench_run *run)
{
    uint64_t allocated;
    uint64_t length;
    bench_directory_size(run->settings.dir, &allocated, &length);
    bench_report(run, "disk", (double)allocated / (double)run->settings.keys);
    return true;
}

static const struct bench_workload disk = {
    .name = "disk",
    .group = "Space",
    .what = "bytes on the disk for each key, after the random fill "
            "(key and value: 116)",
    .beginning = BENCH_FILLED,
    .metrics = {{"disk", "disk after fill", "B/key", true, NULL}},
    .is_possible = bench_is_store,
    .run = run_disk};

const struct bench_workload *const disk_workloads[] = {&disk, NULL};
