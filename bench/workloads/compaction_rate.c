/* SPDX-License-Identifier: MIT */

/* How fast a store reads its log when it compacts: bytes of a log of which half
 * is stale, divided by the time, once all of it and once without the waits for
 * the disk in fdatasync and fsync. And, just before, how fast the machine
 * itself is: the live bytes are written to a file, which is synced and removed.
 * If memory must first be obtained from a hypervisor, that takes as long as a
 * compaction. */

#include "directory.h"
#include "stale.h"
#include "sync_clock.h"
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static bool write_bytes(int fd, uint64_t size)
{
    static char buffer[1u << 20];
    memset(buffer, 'a', sizeof buffer);
    for (uint64_t done = 0; done < size;) {
        uint64_t left = size - done;
        ssize_t put =
            write(fd, buffer, left < sizeof buffer ? left : sizeof buffer);
        if (put <= 0) {
            return false;
        }
        done += (uint64_t)put;
    }
    return true;
}

static bool report_bare_write(struct bench_run *run, uint64_t size)
{
    char path[PATH_MAX];
    if (!bench_path(path, sizeof path, run->settings.dir, "control")) {
        return false;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    double begin = bench_now();
    bool is_done = fd != -1 && write_bytes(fd, size);
    double written = bench_now();
    is_done = is_done && fdatasync(fd) == 0;
    double synced = bench_now();
    if (!is_done) {
        bench_fail("%s", strerror(errno));
    }
    (void)close(fd);
    (void)unlink(path);
    bench_report(run, "bare-write", written - begin);
    bench_report(run, "bare-sync", synced - written);
    return is_done;
}

static bool run_rate(struct bench_run *run)
{
    struct bench_opened opened;
    struct bench_counters counters;
    run->settings.compacts_by_order = true;
    if (!bench_stale_copy(run) || !bench_open(run, &opened)) {
        return false;
    }
    sync();
    bool is_done = bench_warm_up(run, &opened) &&
                   run->store->counters(opened.session, &counters) &&
                   report_bare_write(run, counters.live_bytes);
    uint64_t waited = bench_sync_clock_nanoseconds();
    double begin = bench_now();
    is_done = is_done && run->store->compact(opened.session);
    double seconds = bench_now() - begin;
    waited = bench_sync_clock_nanoseconds() - waited;
    bench_close(&opened);
    if (!is_done) {
        return false;
    }
    double bytes = (double)counters.log_bytes;
    bench_report(run, "all", bytes / seconds / 1e9);
    if (bench_sync_clock_works()) {
        double syncs = (double)waited / 1e9;
        bench_report(run, "rate", bytes / (seconds - syncs) / 1e9);
        bench_report(run, "syncs", syncs);
    }
    bench_report(run, "stale", 1 - (double)counters.live_bytes / bytes);
    return true;
}

static const struct bench_workload rate = {
    .name = "compaction-rate",
    .group = "Compaction, the disk apart",
    .what = "compact a store half of whose log is stale: bytes of the log by "
            "the time it took, with and without the waits for the disk",
    .beginning = BENCH_EMPTY,
    .sizes = BENCH_AND_TEN_TIMES,
    .is_run_once = true,
    .is_long = true,
    .metrics =
        {{"rate", "log read, fdatasync apart (target: 1)", "GB/s", false, NULL},
         {"all", "log read", "GB/s", false, NULL},
         {"syncs", "in fdatasync", "s", true, BENCH_ASIDE},
         {"stale", "stale share", "x", false, BENCH_ASIDE},
         {"bare-write", "bare write of the live bytes", "s", true, BENCH_ASIDE},
         {"bare-sync", "its fdatasync", "s", true, BENCH_ASIDE}},
    .is_possible = bench_has_counters,
    .run = run_rate};

const struct bench_workload *const compaction_rate_workloads[] = {&rate, NULL};
