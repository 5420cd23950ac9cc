/* SPDX-License-Identifier: MIT */

/* How much of the process's own memory an open store takes, after reading for a
 * while, and the bytes of its index, if the store can report them. Maps of
 * files are not counted: the kernel may take those pages back. */

#include "workload.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The process's own pages, as reported by Linux. */
static bool own_bytes(uint64_t *bytes_out)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (file == NULL) {
        return bench_fail("there is no /proc/self/smaps_rollup");
    }
    char line[256];
    unsigned long long kibibytes = 0;
    static const char name[] = "Anonymous:";
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, sizeof name - 1) == 0) {
            kibibytes = strtoull(line + sizeof name - 1, NULL, 10);
        }
    }
    (void)fclose(file);
    *bytes_out = (uint64_t)kibibytes << 10;
    return true;
}

static bool run_memory(struct bench_run *run)
{
    struct bench_opened opened;
    uint64_t before = 0;
    uint64_t after = 0;
    if (!own_bytes(&before) || !bench_open(run, &opened) ||
        !bench_warm_up(run, &opened) || !own_bytes(&after)) {
        return false;
    }
    double keys = (double)run->settings.keys;
    double grown = after > before ? (double)(after - before) : 0;
    bench_report(run, "private", grown / keys);
    bench_report(run, "private-all", grown / 1e6);
    uint64_t table = 0;
    bool has_index = run->store->index_bytes != NULL;
    bool is_told =
        !has_index || run->store->index_bytes(opened.session, &table);
    if (has_index && is_told) {
        bench_report(run, "index", (double)table / keys);
    }
    bench_close(&opened);
    return is_told;
}

static const struct bench_workload memory = {
    .name = "memory",
    .group = "Space",
    .what = "the process's own memory after opening a full store and reading "
            "it, and the index, where the store tells it",
    .beginning = BENCH_FILLED,
    .metrics = {{"private", "private memory", "B/key", true, NULL},
                {"private-all", "private memory, all", "MB", true, NULL},
                {"index", "index", "B/key", true, NULL}},
    .is_possible = bench_is_store,
    .run = run_memory};

const struct bench_workload *const memory_workloads[] = {&memory, NULL};
