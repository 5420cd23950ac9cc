/* SPDX-License-Identifier: MIT */

/* Keys that live for a second: new ones are set as fast as the store can, and
 * nobody removes the old ones. What counts besides the rate is how much room
 * they take on the disk, at most, once this has gone on for some lifetimes. */

#include "directory.h"
#include "workload.h"

#include <stddef.h>
#include <unistd.h>

#define LIFETIMES_BEFORE 3
#define SLICE_SECONDS 0.1

/* What has been set in a stretch of time. */
struct stretch {
    uint64_t first; /* The number of the next key. */
    uint64_t count;
    double seconds;
    uint64_t largest; /* Bytes on the disk, looked at after each slice. */
};

static bool set_new(struct bench_worker *worker, uint64_t i)
{
    const uint64_t *first = worker->extra;
    bench_key(*first + i, worker->key);
    bench_value(worker->key, 0, worker->value);
    return worker->store->set_expiring(
        worker->session, worker->key, worker->value);
}

static bool set_for(struct bench_run *run,
                    const struct bench_opened *opened,
                    double seconds,
                    struct stretch *stretch)
{
    const struct bench_load load = {.step = set_new,
                                    .extra = &stretch->first,
                                    .count_max = UINT64_MAX,
                                    .seconds = SLICE_SECONDS};
    *stretch = (struct stretch){.first = stretch->first};
    while (stretch->seconds < seconds) {
        struct bench_done done;
        uint64_t allocated;
        uint64_t length;
        if (!bench_drive(run, opened, &load, &done)) {
            return false;
        }
        stretch->first += done.count;
        stretch->count += done.count;
        stretch->seconds += done.seconds;
        bench_directory_size(run->settings.dir, &allocated, &length);
        if (allocated > stretch->largest) {
            stretch->largest = allocated;
        }
    }
    return true;
}

static bool run_expiring(struct bench_run *run)
{
    struct bench_opened opened;
    struct stretch stretch = {0};
    run->settings.is_expiring = true;
    const double lifetime = BENCH_LIFETIME_MS / 1e3;
    if (!bench_open(run, &opened) ||
        !set_for(run, &opened, LIFETIMES_BEFORE * lifetime, &stretch)) {
        return false;
    }
    bool is_done = set_for(run, &opened, run->fill_seconds, &stretch);
    bench_close(&opened);
    sync();
    if (is_done) {
        double rate = (double)stretch.count / stretch.seconds;
        double largest = (double)stretch.largest;
        bench_report(run, "rate", rate / 1e6);
        bench_report(run, "disk", largest / (rate * lifetime));
        bench_report(run, "disk-all", largest / 1e6);
        bench_report(run, "set", (double)stretch.first / 1e6);
    }
    return is_done;
}

static bool has_expiry(const struct bench_store *store)
{
    return store->set_expiring != NULL;
}

static const struct bench_workload expiring = {
    .name = "expiring",
    .group = "Keys that expire",
    .what = "set new keys that live for a second, for some seconds, and the "
            "most bytes on the disk",
    .beginning = BENCH_EMPTY,
    .metrics = {{"rate", "set, expires in 1 s", "M/s", false, NULL},
                {"disk", "disk for each key set in 1 s", "B/key", true, NULL},
                {"disk-all", "disk, largest", "MB", true, BENCH_ASIDE},
                {"set", "keys set in all", "M", false, BENCH_ASIDE}},
    .is_possible = has_expiry,
    .run = run_expiring};

const struct bench_workload *const expiring_workloads[] = {&expiring, NULL};
