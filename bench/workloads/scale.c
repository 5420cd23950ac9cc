/* SPDX-License-Identifier: MIT */

/* How cost grows as a store grows: a fill, reads, as many sets of random keys
 * again, a compaction of the log that is then half stale, and opening the store
 * without its index; with the keys requested, ten and fifty times as many. */

#include "process.h"
#include "sync_clock.h"
#include "workload.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

static bool fill(struct bench_run *run, const struct bench_opened *opened)
{
    struct bench_timed_fill fill;
    if (!bench_fill_timed(run, opened, run->prepare_seconds, &fill)) {
        return false;
    }
    if (fill.count < run->settings.keys) {
        return bench_fail("too slow: it was not full after %.0f s",
                          run->prepare_seconds);
    }
    bench_report(run, "set", fill.seconds / (double)fill.count * 1e6);
    bench_report(run, "longest", fill.longest * 1e3);
    return true;
}

static bool read_keys(struct bench_run *run, const struct bench_opened *opened)
{
    const struct bench_store *store = run->store;
    const struct bench_load load = {.step = bench_step_get,
                                    .count_max = UINT64_MAX,
                                    .seconds = run->seconds * 4};
    uint64_t index = 0;
    sync();
    if (!bench_warm_up(run, opened) ||
        !bench_drive_and_report_time(run, opened, &load, "get")) {
        return false;
    }
    if (store->index_bytes == NULL) {
        return true;
    }
    bool is_told = store->index_bytes(opened->session, &index);
    bench_report(run, "index", (double)index / (double)run->settings.keys);
    return is_told;
}

/* Leaves a log of which about half is stale. */
static bool set_again(struct bench_run *run, const struct bench_opened *opened)
{
    const struct bench_load load = {.step = bench_step_overwrite,
                                    .count_max = run->settings.keys,
                                    .seconds = run->prepare_seconds,
                                    .clock_step = 256};
    return bench_drive_and_report_time(run, opened, &load, "overwrite");
}

/* written: by write calls since there was one set for each key. */
static bool compact(struct bench_run *run,
                    const struct bench_opened *opened,
                    uint64_t written)
{
    struct bench_counters counters;
    if (run->store->counters == NULL) {
        return true;
    }
    sync();
    if (!run->store->counters(opened->session, &counters)) {
        return false;
    }
    uint64_t waited = bench_sync_clock_nanoseconds();
    double begin = bench_now();
    bool is_done = run->store->compact(opened->session);
    double seconds = bench_now() - begin;
    waited = bench_sync_clock_nanoseconds() - waited;
    written = bench_written_bytes() - written;
    bench_report(run, "log", (double)counters.log_bytes / 1e9);
    bench_report(
        run, "written", 2 * (double)written / (double)counters.log_bytes);
    bench_report(run, "compaction", seconds);
    if (bench_sync_clock_works()) {
        bench_report(run, "syncs", (double)waited / 1e9);
    }
    return is_done;
}

static bool rebuild(struct bench_run *run)
{
    struct bench_opened opened;
    if (run->store->index_file == NULL) {
        return true;
    }
    if (!bench_remove_index(run)) {
        return false;
    }
    double begin = bench_now();
    bool is_done = bench_open(run, &opened);
    double seconds = bench_now() - begin;
    bench_close(&opened);
    bench_report(run, "rebuild", seconds);
    return is_done;
}

/* The handle of a store that has the command, which opens it as it likes. */
static const struct bench_store *find_with_tool(const char *family)
{
    const struct bench_store *store = bench_store_at(0);
    for (size_t i = 1; store != NULL; i++) {
        if (store->tool != NULL && strcmp(store->family, family) == 0) {
            break;
        }
        store = bench_store_at(i);
    }
    return store;
}

static bool run_tool(struct bench_run *run)
{
    struct bench_run with_tool = *run;
    double tool_time;
    double true_time;
    with_tool.store = find_with_tool(run->store->family);
    if (with_tool.store == NULL) {
        return true;
    }
    if (!bench_time_tool(&with_tool, false, &tool_time, &true_time)) {
        return false;
    }
    bench_report(run, "one-shot", tool_time / true_time);
    return true;
}

static bool run_scale(struct bench_run *run)
{
    struct bench_opened opened;
    run->settings.compacts_by_order = true;
    bool is_done = bench_open(run, &opened) && fill(run, &opened) &&
                   read_keys(run, &opened);
    uint64_t written = bench_written_bytes();
    is_done =
        is_done && set_again(run, &opened) && compact(run, &opened, written);
    bench_close(&opened);
    return is_done && run_tool(run) && rebuild(run);
}

static const struct bench_workload scale = {
    .name = "scale",
    .group = "As the store grows",
    .what = "a fill, gets, as many sets again, a compaction, and opening it "
            "without its index, with up to fifty times the keys (only if it "
            "is named)",
    .beginning = BENCH_EMPTY,
    .sizes = BENCH_TO_FIFTY_TIMES,
    .is_run_once = true,
    .is_long = true,
    .is_on_request = true,
    .metrics = {{"set", "set, new keys", "us", true, NULL},
                {"longest", "longest set of them", "ms", true, NULL},
                {"get", "get", "us", true, NULL},
                {"overwrite", "overwrite", "us", true, NULL},
                {"index", "index", "B/key", true, NULL},
                {"log", "log before compaction", "GB", true, BENCH_ASIDE},
                {"compaction", "compaction", "s", true, NULL},
                {"syncs", "of it in fdatasync", "s", true, NULL},
                {"written", "write calls to sets again", "x", true, NULL},
                {"rebuild", "rebuild of the index", "s", true, NULL},
                {"one-shot", "one-shot get, to /bin/true", "x", true, NULL}},
    .run = run_scale};

const struct bench_workload *const scale_workloads[] = {&scale, NULL};
